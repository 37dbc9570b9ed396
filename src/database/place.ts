import pg from 'pg';
import { PgwatchError } from '../errors.ts';
import type { Queryable } from './connect.ts';
import type { Names } from './names.ts';
import { readLeftBy } from './unrecorded.ts';

/**
 * Refuses to fill, and later to remove, a schema with other objects in it, and to create a new,
 * empty log if our schema was renamed.
 * @throws PgwatchError config_invalid
 */
export async function requireFreeSchema(client: Queryable, names: Names): Promise<void> {
  const { schema } = names;
  if ((await readLeftBy(client, names)).size > 0) return;
  const { rows } = await client.query(
    `select exists (
       select from pg_catalog.pg_namespace as n
       where nspname = $1 and (
         exists (select from pg_catalog.pg_class where relnamespace = n.oid)
         or exists (select from pg_catalog.pg_proc where pronamespace = n.oid)
         or exists (select from pg_catalog.pg_type where typnamespace = n.oid)
       ) and not exists (
         select from pg_catalog.pg_class as c
         join pg_catalog.pg_attribute as a on a.attrelid = c.oid
         where c.relnamespace = n.oid and c.relname = 'migration' and a.attname = 'hash'
       )
     ) as is_taken`,
    [schema],
  );
  if ((rows[0] as { is_taken: boolean }).is_taken) {
    throw new PgwatchError(
      'config_invalid',
      `Schema "${schema}" already contains other objects, but pgwatch needs its own schema. ` +
        'Set the option schema to another name.',
    );
  }
  const renamed = await readRenamed(client, names);
  if (renamed !== null) throw new PgwatchError('config_invalid', renamedText(schema, renamed));
}

/** Says why a database without any record of a migration is not ready, and what to do. */
export async function missingText(client: Queryable, names: Names): Promise<string> {
  const { schema } = names;
  if ((await readLeftBy(client, names)).size > 0) {
    return (
      `Schema "${schema}" of pgwatch lacks the record of its migrations, for example after a ` +
      'dump without rows, or a test suite that truncates every table. Run "pgwatch migrate": it ' +
      'restores what is missing.'
    );
  }
  const renamed = await readRenamed(client, names);
  if (renamed !== null) return renamedText(schema, renamed);
  return `The database has no schema "${schema}" of pgwatch yet. Run "pgwatch migrate".`;
}

function renamedText(schema: string, renamed: string): string {
  const [from, to] = [pg.escapeIdentifier(renamed), pg.escapeIdentifier(schema)];
  return (
    `The schema "${schema}" of pgwatch was renamed to "${renamed}", but its functions still ` +
    `write to the old name. Rename it back: alter schema ${from} rename to ${to};`
  );
}

/** Reads the schema that contains functions of ours which were created for our schema's name. */
async function readRenamed(
  client: Queryable,
  { schema, apiSchema }: Names,
): Promise<string | null> {
  const { rows } = await client.query(
    `select n.nspname::text as name
     from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
     where n.nspname <> all (array[$1, $2]) and p.proname = 'log_pins' and strpos(p.prosrc, $3) > 0
     limit 1`,
    [schema, apiSchema, pg.escapeLiteral(schema)],
  );
  return (rows[0] as { name: string } | undefined)?.name ?? null;
}
