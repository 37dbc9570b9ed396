import { type Client, escapeIdentifier } from 'pg';
import { ROLE_KINDS } from '../../config/define.ts';
import { publicSignatures } from '../../database/names.ts';
import { someOf } from '../../words.ts';
import type { Context, Finding } from './check.ts';
import { readGrants } from './grants.ts';
import { OWN_OBJECTS } from './own-objects.ts';

/** Privileges that neither ownership nor the config gives to a role. */
type Excess = {
  /** Null: PUBLIC. */
  grantee: string | null;
  /** The members of that role, who have them, too. */
  members: string[];
  /** 'select on pgwatch.delivery'. */
  privileges: string[];
};

/** Compares all privileges, including those on columns and of PUBLIC, with the config. */
export async function findExcess(client: Client, context: Context): Promise<Finding[]> {
  const expected = ROLE_KINDS.flatMap((kind) =>
    context.config.roles[kind].flatMap((role) =>
      readGrants(kind, context.config).map((grant) => ({ role, ...grant })),
    ),
  );
  const { rows } = await client.query<Excess>(EXCESS, [
    context.config.schema,
    publicSignatures(context.config),
    expected.map(({ role }) => role),
    expected.map(({ type }) => type),
    expected.map(({ object }) => object),
    expected.map(({ privilege }) => privilege),
    expected.map(({ column }) => column),
  ]);
  return rows.map(excessFinding);
}

function excessFinding({ grantee, members, privileges }: Excess): Finding {
  const who = grantee === null ? 'PUBLIC (every role)' : `Role ${escapeIdentifier(grantee)}`;
  const through =
    members.length > 0
      ? `; its members ${someOf(members.map(escapeIdentifier))} have them, too`
      : '';
  return {
    level: 'problem',
    what:
      `${who} has privileges that the config does not grant: ` + `${someOf(privileges)}${through}.`,
    why:
      'It can read notifications, publish, or write to the log and positions directly. ' +
      'They were granted manually, by default privileges, or while the config named the role.',
    fix:
      'pgwatch migrate, as the role that installed pgwatch: it revokes what the config does ' +
      'not grant. If the role needs the privileges, add it to roles in the config first.',
  };
}

const EXCESS = `
with object as (${OWN_OBJECTS}
), expected as (
  select e.role, e.privilege, e.column_name, case e.type
    when 'schema' then (select oid from pg_namespace where nspname = e.object)
    when 'function' then to_regprocedure(e.object)::oid
    else to_regclass(e.object)::oid end as oid
  from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    as e (role, type, object, privilege, column_name)
), excess as (
  select a.grantee, r.rolname, o.kind, o.name, min(lower(a.privilege_type)
    || case o.column_name when '' then '' else format(' (%s)', o.column_name) end
    || ' on ' || o.name || case when a.is_grantable then ' with grant option' else '' end) as text
  from object as o
  cross join lateral aclexplode(o.acl) as a
  left join pg_roles as r on r.oid = a.grantee
  where a.grantee <> o.owner and (o.kind <> 'type' or a.grantee <> 0)
    and (a.is_grantable or not exists (
      select from expected as e
      where e.oid = o.oid and e.role = r.rolname and e.privilege = lower(a.privilege_type)
        and e.column_name = o.column_name))
  group by a.grantee, r.rolname, o.kind, o.name, o.column_name, a.privilege_type, a.is_grantable
)
select rolname::text as grantee,
  array(select m.rolname::text
    from pg_auth_members as held join pg_roles as m on m.oid = held.member
    where held.roleid = excess.grantee order by 1) as members,
  array_agg(text order by kind, text) as privileges
from excess group by grantee, rolname order by grantee`;
