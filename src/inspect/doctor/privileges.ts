import { type Client, escapeIdentifier } from 'pg';
import { ROLE_KINDS, type RoleKind } from '../../config/define.ts';
import { someOf } from '../../words.ts';
import type { Check, Context, Finding } from './check.ts';
import { findExcess } from './excess.ts';
import { readGrants } from './grants.ts';
import { findNamesakes } from './namesakes.ts';
import { findDefaults, findForeignOwners } from './owners.ts';

/**
 * Checks that the roles in the config, and the current one, have the privileges that they need,
 * and that other roles have none.
 */
export const privileges: Check = {
  name: 'privileges',
  runs: 'transaction',
  needs: 'schema',
  async run(client, context) {
    const { roles } = context.config;
    const { rows } = await client.query<{ role: string }>('select current_user::text as role');
    const self = rows[0]?.role ?? '';
    const findings = [
      ...(await findForeignOwners(client, context)),
      ...(await findNamesakes(client, context)),
      ...(await findExcess(client, context)),
      ...(await findDefaults(client, context)),
    ];
    for (const kind of ROLE_KINDS) {
      for (const role of roles[kind])
        findings.push(...(await findRole(client, context, kind, role)));
    }
    const lacking = await readLacking(client, context, 'consume', self);
    if (lacking.length > 0 && !roles.consume.includes(self))
      findings.push(noConsumer(self, lacking));
    const named = ROLE_KINDS.reduce((count, kind) => count + roles[kind].length, 0);
    return { findings, seen: `role ${self}, and ${named} in the config` };
  },
};

async function findRole(
  client: Client,
  context: Context,
  kind: RoleKind,
  role: string,
): Promise<Finding[]> {
  const { rows } = await client.query('select from pg_roles where rolname = $1', [role]);
  if (rows.length === 0) {
    return [
      {
        level: 'problem',
        what: `Role ${escapeIdentifier(role)} in roles.${kind} of the config does not exist.`,
        why: '"pgwatch migrate" fails without it.',
        fix: `create role ${escapeIdentifier(role)}; or remove it from the config.`,
      },
    ];
  }
  const lacking = await readLacking(client, context, kind, role);
  if (lacking.length === 0) return [];
  return [
    {
      level: 'problem',
      what:
        `Role ${escapeIdentifier(role)} is in roles.${kind} of the config, but lacks: ` +
        `${someOf(lacking)}.`,
      why: 'Its statements fail with "permission denied".',
      fix: 'pgwatch migrate, as the role that installed pgwatch: it grants what the config says.',
    },
  ];
}

function noConsumer(role: string, lacking: readonly string[]): Finding {
  return {
    level: 'note',
    what:
      `The current role, ${escapeIdentifier(role)}, cannot run consumers: ` +
      `it lacks ${someOf(lacking)}.`,
    why: '"pgwatch listen" fails with this role, which may be enough for reading.',
    fix:
      `Add it to roles: { consume: [${JSON.stringify(role)}] } in the config, and run ` +
      '"pgwatch migrate" as the role that installed pgwatch.',
  };
}

/** Privileges of roles of that kind that a role lacks: 'select on pgwatch.delivery'. */
async function readLacking(
  client: Client,
  { config }: Context,
  kind: RoleKind,
  role: string,
): Promise<string[]> {
  const grants = readGrants(kind, config);
  // Another check reports objects that do not exist.
  const { rows } = await client.query<{ text: string }>(
    `select g.privilege || ' on ' || g.object || coalesce('.' || nullif(g.name, ''), '') as text
     from unnest($2::text[], $3::text[], $4::text[], $5::text[])
       with ordinality as g (type, object, privilege, name, place)
     where not coalesce(case g.type
       when 'schema' then has_schema_privilege($1::text, (
         select oid from pg_namespace where nspname = g.object), g.privilege)
       when 'function' then has_function_privilege(
         $1::text, to_regprocedure(g.object)::oid, g.privilege)
       when 'sequence' then has_sequence_privilege(
         $1::text, to_regclass(g.object)::oid, g.privilege)
       when 'column' then has_column_privilege(
         $1::text, to_regclass(g.object)::oid, g.name, g.privilege)
       else has_table_privilege($1::text, to_regclass(g.object)::oid, g.privilege) end, true)
     order by g.place`,
    [
      role,
      grants.map(({ type }) => type),
      grants.map(({ object }) => object),
      grants.map(({ privilege }) => privilege),
      grants.map(({ column }) => column),
    ],
  );
  return rows.map(({ text }) => text);
}
