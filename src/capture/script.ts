import pg from 'pg';
import { OPERATIONS } from '../config/triggers.ts';
import { type Names, qualified } from '../database/names.ts';
import type { Capture } from './plan.ts';
import { quotedTable, tableText } from './table-name.ts';
import { dropSql, triggerName, triggerSql } from './trigger-sql.ts';

/**
 * Statements that capture a table like that, regardless of whether and how it is captured in the
 * database in which they run.
 */
export function captureScript({ table, triggers, options }: Capture, names: Names): string[] {
  const all = OPERATIONS.map((each) => triggerName(names, each));
  // An earlier migration may have created triggers that are no longer wanted.
  const others = all.filter((each) => !triggers.some(({ name }) => name === each));
  return [
    guardSql(table, all, names),
    ...others.map((name) => dropSql(table, name)),
    ...triggers.flatMap((trigger) =>
      triggerSql(table, trigger, names, { when: options.when, isThere: true }),
    ),
  ];
}

/** Statements that undo captureScript(). */
export function removalScript({ table, triggers }: Capture, names: Names): string[] {
  const own = triggers.map(({ name }) => name);
  return [guardSql(table, own, names), ...own.map((name) => dropSql(table, name))];
}

type Named = { schema: string; name: string };

/**
 * A guard for scripts, which may run in any database: it raises an error if a trigger that is not
 * ours has one of the names, even on a partition, because "or replace" also affects partitions.
 */
function guardSql(table: Named, triggerNames: readonly string[], names: Names): string {
  const found = `pg_catalog.to_regclass(${pg.escapeLiteral(quotedTable(table))})`;
  const own = `${qualified(names.apiSchema, 'notify_data_change')}()`;
  const message =
    `${tableText(table)} has a trigger that pgwatch did not create, with a name that pgwatch` +
    ' uses. Rename it: alter trigger … rename to';
  const body = `
begin
  if exists (
    select from pg_catalog.pg_trigger
    where (tgrelid = ${found}
        or tgrelid in (select relid from pg_catalog.pg_partition_tree(${found})))
      and tgname in (${triggerNames.map((name) => pg.escapeLiteral(name)).join(', ')})
      and tgfoid is distinct from pg_catalog.to_regprocedure(${pg.escapeLiteral(own)}))
  then
    raise exception using errcode = 'PW003', message = ${pg.escapeLiteral(message)};
  end if;
end;
`;
  let tag = '$pgwatch$';
  while (body.includes(tag)) tag = tag.replace(/\$$/, '_$');
  return `do ${tag}${body}${tag}`;
}
