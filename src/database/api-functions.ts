import pg from 'pg';
import { PgwatchError } from '../errors.ts';
import type { Queryable } from './connect.ts';
import { type Names, publicSignatures } from './names.ts';

/** A function of the name and parameters of one of those that people's SQL calls. */
type ApiFunction = { signature: string; isOurs: boolean };

/**
 * Those that are there. Ours write the log of this schema; they may be there without it, as after a dump of
 * schema public alone.
 */
export async function readApiFunctions(client: Queryable, names: Names): Promise<ApiFunction[]> {
  const { rows } = await client.query(
    `select p.oid::regprocedure::text as signature,
       p.prosecdef and strpos(p.prosrc, $2) > 0 as "isOurs"
     from pg_catalog.pg_proc as p
     where p.oid in (select to_regprocedure(s) from unnest($1::text[]) as s)`,
    [publicSignatures(names), `${pg.escapeIdentifier(names.schema)}.notification_log`],
  );
  return rows as ApiFunction[];
}

/**
 * Refuses to put ours in the place of somebody else's.
 * @throws PgwatchError config_invalid
 */
export async function requireOwnFunctions(client: Queryable, names: Names): Promise<void> {
  const foreign = (await readApiFunctions(client, names)).find(({ isOurs }) => !isOurs);
  if (!foreign) return;
  throw new PgwatchError(
    'config_invalid',
    `Function ${foreign.signature} is there already, and was not made by pgwatch for schema "${names.schema}". Drop or rename it, or name another schema for pgwatch's functions with the option apiSchema.`,
  );
}
