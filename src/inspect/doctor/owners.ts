import { type Client, escapeIdentifier } from 'pg';
import { publicSignatures } from '../../database/names.ts';
import { someOf } from '../../words.ts';
import type { Context, Finding } from './check.ts';
import { OWN_OBJECTS } from './own-objects.ts';

/**
 * Objects that do not belong to the owner of the log. Their owner may change them, and our
 * functions run with their owner's rights. A superuser may own the schema, since it may do
 * everything anyway.
 */
export async function findForeignOwners(client: Client, context: Context): Promise<Finding[]> {
  const { config } = context;
  const { rows } = await client.query<{ owner: string; logOwner: string; names: string[] }>(
    `with object as (${OWN_OBJECTS}
       union all
       select 'schema', n.oid, 'schema ' || quote_ident(n.nspname), n.nspowner, n.nspacl, ''
       from pg_namespace as n where n.nspname = $3 and n.nspname <> all (array['public', $1])
     ), log as (
       select c.relowner as owner
       from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
       where n.nspname = $1 and c.relname = 'notification_log')
     select r.rolname::text as owner, l.rolname::text as "logOwner",
       array_agg(distinct o.name order by o.name) as names
     from object as o cross join log
     join pg_roles as r on r.oid = o.owner
     join pg_roles as l on l.oid = log.owner
     where o.owner <> log.owner and o.kind <> 'type' and not (o.kind = 'schema' and r.rolsuper)
     group by r.rolname, l.rolname order by 1`,
    [config.schema, publicSignatures(config), config.apiSchema],
  );
  return rows.map(({ owner, logOwner, names }) => ({
    level: 'problem',
    what:
      `Role ${escapeIdentifier(owner)} owns ${someOf(names)}; ` +
      `the log belongs to ${escapeIdentifier(logOwner)}.`,
    why:
      'That role can change what it owns, and functions run with its rights, ' +
      'which may not be enough.',
    fix:
      `alter … owner to ${escapeIdentifier(logOwner)}; for each of them, or if it owns nothing ` +
      `else: reassign owned by ${escapeIdentifier(owner)} to ${escapeIdentifier(logOwner)};`,
  }));
}

/**
 * Default privileges that are set for our schema alone; "pgwatch migrate" undoes the effect of the
 * others.
 */
export async function findDefaults(client: Client, { config }: Context): Promise<Finding[]> {
  const { rows } = await client.query<{ maker: string; grantees: string[] }>(
    `select m.rolname::text as maker,
       array_agg(distinct coalesce(quote_ident(r.rolname), 'PUBLIC')) as grantees
     from pg_default_acl as d
     join pg_namespace as n on n.oid = d.defaclnamespace and n.nspname = $1
     join pg_roles as m on m.oid = d.defaclrole
     cross join lateral aclexplode(d.defaclacl) as a
     left join pg_roles as r on r.oid = a.grantee
     where a.grantee <> d.defaclrole
     group by m.rolname order by 1`,
    [config.schema],
  );
  return rows.map(({ maker, grantees }) => ({
    level: 'note',
    what:
      `Objects that ${escapeIdentifier(maker)} creates in schema ` +
      `${escapeIdentifier(config.schema)} are open to ${someOf(grantees)} by default privileges.`,
    why: 'Migrations revoke them from their own objects; other objects there stay open.',
    fix: 'alter default privileges … revoke …; "\\ddp" in psql lists them.',
  }));
}
