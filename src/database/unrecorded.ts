import { PgwatchError } from '../errors.ts';
import type { Queryable } from './connect.ts';
import { readLackingColumn } from './damage.ts';
import { readExpected } from './expected.ts';
import type { Names } from './names.ts';

/**
 * Reads the migrations of which some objects exist. If such a migration is not recorded, the rows
 * that it wrote are missing, for example after a dump without data, or a test suite that truncates
 * every table.
 */
export async function readLeftBy(client: Queryable, names: Names): Promise<Set<number>> {
  const { tables, functions } = readExpected(names);
  const objects = [
    ...tables.map(({ name, migration }) => ({ name, migration })),
    ...functions.filter(({ schema }) => schema === names.schema),
  ].filter(({ migration }) => migration > 0);
  const { rows } = await client.query(
    `select distinct o.migration
     from unnest($2::text[], $3::integer[]) as o (name, migration)
     join pg_catalog.pg_namespace as n on n.nspname = $1
     where (exists (select from pg_catalog.pg_class where relnamespace = n.oid and relname = o.name)
         or exists (select from pg_catalog.pg_proc where pronamespace = n.oid and proname = o.name))
       /* Other applications may have a table named delivery, too. */
       and (exists (
           select from pg_catalog.pg_class as c
           join pg_catalog.pg_attribute as a on a.attrelid = c.oid
           where c.relnamespace = n.oid and c.relname = 'notification_log' and a.attname = 'xid')
         or exists (
           select from pg_catalog.pg_proc
           where pronamespace = n.oid and proname = 'doorbell_class'))`,
    [names.schema, objects.map(({ name }) => name), objects.map(({ migration }) => migration)],
  );
  return new Set((rows as { migration: number }[]).map(({ migration }) => migration));
}

/**
 * Refuses tables of another, unknown version.
 * @throws PgwatchError schema_outdated
 */
export async function requireSameTables(client: Queryable, names: Names): Promise<void> {
  const column = await readLackingColumn(client, names);
  if (column === null) return;
  throw new PgwatchError(
    'schema_outdated',
    `Schema "${names.schema}" contains tables of another version of pgwatch (${column} is ` +
      'missing, or has another type), but no record of its migrations. Restore the rows of its ' +
      'table migration, or start over with "pgwatch migrate uninstall" and "pgwatch migrate".',
  );
}
