import pg from 'pg';
import { PgwatchError } from '../errors.ts';
import type { Queryable } from './connect.ts';
import { type Names, publicSignatures } from './names.ts';

/** A function of the name and parameters of one of those that people's SQL calls. */
type ApiFunction = { signature: string; isOurs: boolean };

/**
 * Those that are there. Ours write the log of this schema; they may be there without it, as after a
 * dump of schema public alone.
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

/**
 * A function with the name of one of those, and other parameters, which PostgreSQL may prefer to
 * ours.
 */
export type Namesake = {
  signature: string;
  owner: string;
  /** Its owner may act as the owner of ours anyway. */
  isTrusted: boolean;
  /** A whole sentence. */
  sentence: string;
};

/**
 * Those in the schema of ours, and in public. A text without a type is a text rather than a jsonb,
 * so smart_notify(text, text) takes what was meant for ours. What another installation has there is
 * not one.
 */
export async function readNamesakes(client: Queryable, names: Names): Promise<Namesake[]> {
  const own = publicSignatures(names);
  const { rows } = await client.query(
    `with own as (select to_regprocedure(s)::oid as oid from unnest($1::text[]) as s)
     select p.oid::regprocedure::text as signature, r.rolname::text as owner,
       pg_has_role(p.proowner, coalesce(o.proowner, p.proowner), 'usage') as "isTrusted"
     from pg_catalog.pg_proc as p
     join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = any (array[$2, 'public'])
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
    sentence: `Function ${found.signature} of role ${pg.escapeIdentifier(found.owner)} has a name of pgwatch's and was not made by it: calls that are meant for pgwatch may run it, and publish nothing.`,
  }));
}
