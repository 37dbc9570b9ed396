import pg from 'pg';
import { PgwatchError } from '../errors.ts';
import type { Queryable } from './connect.ts';
import { type Names, publicSignatures } from './names.ts';

/** A function with the name and parameters of one of the functions for users' SQL. */
type ApiFunction = { signature: string; isOurs: boolean };

/**
 * Reads which of them exist. Ours write to the log of this schema; they may exist without it, for
 * example after a dump of schema public alone.
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
 * Refuses to replace functions that are not pgwatch's.
 * @throws PgwatchError config_invalid
 */
export async function requireOwnFunctions(client: Queryable, names: Names): Promise<void> {
  const foreign = (await readApiFunctions(client, names)).find(({ isOurs }) => !isOurs);
  if (!foreign) return;
  throw new PgwatchError(
    'config_invalid',
    `Function ${foreign.signature} already exists and was not created by pgwatch for schema ` +
      `"${names.schema}". Drop or rename it, or set the option apiSchema to another schema for ` +
      "pgwatch's functions.",
  );
}

/**
 * A function with the name of one of ours but other parameters, which PostgreSQL may prefer to
 * ours.
 */
export type Namesake = {
  signature: string;
  owner: string;
  /** True if its owner may act as the owner of ours anyway. */
  isTrusted: boolean;
  /** Describes the problem in one sentence. */
  sentence: string;
};

/**
 * Reads namesakes in the schema of our functions, and in public. PostgreSQL prefers text to jsonb
 * for an untyped literal, so a smart_notify(text, text) gets calls meant for ours. The functions of
 * another installation do not count.
 */
export async function readNamesakes(client: Queryable, names: Names): Promise<Namesake[]> {
  const own = publicSignatures(names);
  const { rows } = await client.query(
    `with own as (select to_regprocedure(s)::oid as oid from unnest($1::text[]) as s)
     select p.oid::regprocedure::text as signature, r.rolname::text as owner,
       pg_has_role(p.proowner, coalesce(o.proowner, p.proowner), 'usage') as "isTrusted"
     from pg_catalog.pg_proc as p
     join pg_catalog.pg_namespace as n
       on n.oid = p.pronamespace and n.nspname = any (array[$2, 'public'])
     join pg_catalog.pg_roles as r on r.oid = p.proowner
     left join pg_catalog.pg_proc as o on o.oid = to_regprocedure($3)
     where p.proname in ('smart_notify', 'smart_notify_many', 'notify_data_change')
       and not exists (select from own where own.oid = p.oid)
       and not (p.prosecdef and strpos(p.prosrc, '.notification_log') > 0
         and pg_has_role(p.proowner, coalesce(o.proowner, p.proowner), 'usage')
         and exists (
           select from own join pg_catalog.pg_proc as ours on ours.oid = own.oid
           where ours.proname = p.proname and ours.proargtypes = p.proargtypes))
     order by 1`,
    [own, names.apiSchema, own[0]],
  );
  return (rows as Omit<Namesake, 'sentence'>[]).map((found) => ({
    ...found,
    sentence:
      `Function ${found.signature} of role ${pg.escapeIdentifier(found.owner)} has the name of a ` +
      'pgwatch function but was not created by pgwatch: calls meant for pgwatch may run it, and ' +
      'publish nothing.',
  }));
}
