import type { Client } from 'pg';
import { readExpected } from '../../database/expected.ts';
import { qualified } from '../../database/names.ts';
import { readLackingTriggers } from '../../database/own-triggers.ts';
import type { Check, Context, Finding } from './check.ts';
import { findFunctions, RESTORE } from './drift-functions.ts';

/** Checks that tables, indexes, views and functions are as the migrations made them. */
export const drift: Check = {
  name: 'drift',
  runs: 'transaction',
  needs: 'current schema',
  async run(client, context) {
    const { config } = context;
    const expected = readExpected(config);
    const findings = [
      ...(await findMissing(client, config.schema, expected)),
      ...(await findUnsafeTables(client, config.schema)),
      ...(await findFunctions(client, expected.functions)),
      ...(await findTriggers(client, config.schema, expected)),
      ...(await findDetached(client, context)),
    ];
    const { tables, functions, indexes } = expected;
    const objects = `${tables.length} tables, ${indexes.length} indexes`;
    const seen = `${objects}, ${functions.length} functions`;
    return { findings, seen };
  },
};

type Missing = { kind: string; name: string };

/** Tables, columns, primary keys, indexes and views that are missing or not usable. */
async function findMissing(
  client: Client,
  schema: string,
  { tables, indexes, views }: ReturnType<typeof readExpected>,
): Promise<Finding[]> {
  const columns = tables.flatMap((table) =>
    table.columns.map((each) => [table.name, each] as const),
  );
  const { rows } = await client.query<Missing>(
    `with relation as (
       select c.oid, c.relname::text as name, c.relkind from pg_class as c
       join pg_namespace as n on n.oid = c.relnamespace where n.nspname = $1)
     select 'Table' as kind, name from unnest($2::text[]) as name
     where not exists (select from relation as r where r.name = name.name and relkind in ('r', 'p'))
     union all
     select 'View', name from unnest($3::text[]) as name
     where not exists (select from relation as r where r.name = name.name and relkind = 'v')
     union all
     select 'Index', name from unnest($4::text[]) as name
     where not exists (
       select from relation as r join pg_index as i on i.indexrelid = r.oid
       where r.name = name.name and i.indisvalid and i.indisready)
     union all
     select 'Primary key of', r.name from relation as r
     where r.name = any($2) and not exists (
       select from pg_index as i where i.indrelid = r.oid and i.indisprimary and i.indisvalid)
     union all
     select 'Column', format('%s.%s (%s)', c.table_name, c.name, c.type)
     from unnest($5::text[], $6::text[], $7::text[]) as c (table_name, name, type)
     join relation as r on r.name = c.table_name
     where not exists (
       select from pg_attribute as a
       where a.attrelid = r.oid and a.attname = c.name and a.atttypid = to_regtype(c.type))`,
    [
      schema,
      tables.map(({ name }) => name),
      views.map(({ name }) => name),
      indexes.map(({ name }) => name),
      columns.map(([table]) => table),
      columns.map(([, { name }]) => name),
      columns.map(([, { type }]) => type),
    ],
  );
  // An invalid index has to be dropped first.
  const indexFix = (missing: string | null) => {
    const index = indexes.find(({ name }) => name === missing);
    if (!index) return undefined;
    const create = index.sql.replaceAll(/\s+/g, ' ');
    return `drop index if exists ${qualified(schema, index.name)}; ${create}`;
  };
  return rows.map(({ kind, name }) => ({
    level: 'problem',
    what: `${kind} ${name} is missing or altered.`,
    why:
      'It was changed manually, or a restore left it out. ' +
      'Without it, statements fail or become slow.',
    fix:
      indexFix(kind === 'Index' ? name : null) ??
      (kind === 'Table' || kind === 'View' ? RESTORE : BY_HAND),
  }));
}

/** Triggers of our own tables that are missing, disabled or altered. */
async function findTriggers(
  client: Client,
  schema: string,
  { triggers }: ReturnType<typeof readExpected>,
): Promise<Finding[]> {
  const lacking = await readLackingTriggers(client, schema, triggers);
  return lacking.map(({ name, table, isThere }) => ({
    level: 'problem',
    what: isThere
      ? `Trigger ${name} of ${table} is disabled or altered.`
      : `Trigger ${name} of ${table} is missing.`,
    why:
      'It records since when a channel is read and which ids were used; ' +
      'commands and safeguards rely on that.',
    fix: RESTORE,
  }));
}

/** Tables that lose rows in a crash, or hide them by a policy. */
async function findUnsafeTables(client: Client, schema: string): Promise<Finding[]> {
  const { rows } = await client.query<{ name: string; isUnlogged: boolean; hasPolicy: boolean }>(
    `select c.oid::regclass::text as name, c.relpersistence <> 'p' as "isUnlogged",
       c.relrowsecurity as "hasPolicy"
     from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind in ('r', 'p')
       and (c.relpersistence <> 'p' or c.relrowsecurity)
     order by 1`,
    [schema],
  );
  return rows.flatMap(({ name, isUnlogged, hasPolicy }) => [
    ...(isUnlogged
      ? [
          {
            level: 'problem' as const,
            what: `Table ${name} is unlogged.`,
            why: 'A crash of the server empties it, and standbys do not have its rows.',
            fix: `alter table ${name} set logged;`,
          },
        ]
      : []),
    ...(hasPolicy
      ? [
          {
            level: 'problem' as const,
            what: `Table ${name} has row-level security enabled.`,
            why:
              'Roles that it applies to see only some rows, or none: ' +
              'a consumer would silently skip notifications.',
            fix: `alter table ${name} disable row level security;`,
          },
        ]
      : []),
  ]);
}

/** Tables that look like partitions of the log but are not attached: nothing reads their rows. */
async function findDetached(client: Client, { config }: Context): Promise<Finding[]> {
  const { rows } = await client.query<{ name: string }>(
    `select c.oid::regclass::text as name
     from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind = 'r'
       and c.relname ~ '^notification_log_(\\d{8}|\\d{10}|default)$'
       and not c.relispartition
     order by 1`,
    [config.schema],
  );
  return rows.map(({ name }) => ({
    level: 'problem',
    what: `Table ${name} is no longer a partition of the log.`,
    why: 'It was detached: consumers do not see its rows.',
    fix: `Attach it again; or if its rows are no longer needed: drop table ${name};`,
  }));
}

/** For what "pgwatch migrate" leaves alone, because it may hold rows. */
const BY_HAND =
  '"pgwatch migrate sql" prints its definition: restore it with "alter table" accordingly.';
