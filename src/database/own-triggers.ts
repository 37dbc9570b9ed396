import type { Queryable } from './connect.ts';
import type { ExpectedTrigger } from './expected.ts';
import { qualified } from './names.ts';

/**
 * Reads which triggers of our own tables are missing, disabled, or different from what the
 * migrations created.
 */
export async function readLackingTriggers(
  client: Queryable,
  schema: string,
  expected: readonly ExpectedTrigger[],
): Promise<(ExpectedTrigger & { isThere: boolean })[]> {
  const { rows } = await client.query(
    `select c.relname::text as table, t.tgname::text as name, p.proname::text as "functionName",
       t.tgtype::integer as type, t.tgenabled in ('O', 'A') and fn.nspname = $1 as "isOn"
     from pg_catalog.pg_trigger as t
     join pg_catalog.pg_class as c on c.oid = t.tgrelid
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = $1
     join pg_catalog.pg_proc as p on p.oid = t.tgfoid
     join pg_catalog.pg_namespace as fn on fn.oid = p.pronamespace
     where not t.tgisinternal`,
    [schema],
  );
  const found = rows as (Pick<ExpectedTrigger, 'table' | 'name' | 'functionName' | 'type'> & {
    isOn: boolean;
  })[];
  return expected.flatMap((wanted) => {
    const there = found.find(({ table, name }) => table === wanted.table && name === wanted.name);
    const isRight =
      there?.isOn && there.functionName === wanted.functionName && there.type === wanted.type;
    return isRight ? [] : [{ ...wanted, isThere: there !== undefined }];
  });
}

/** Creates the trigger as the migrations did, and replaces any trigger with its name. */
export function restoringSql(schema: string, { name, table, sql }: ExpectedTrigger): string {
  return `drop trigger if exists "${name}" on ${qualified(schema, table)};\n${sql}`;
}
