import { escapeIdentifier } from 'pg';
import { countOf } from '../../words.ts';
import type { Check, Finding, Severity } from './check.ts';

/** Finds settings of databases and roles by which notifications are lost or delayed. */
export const overrides: Check = {
  name: 'overrides',
  runs: 'transaction',
  needs: 'nothing',
  async run(client) {
    const { rows } = await client.query<Override>(
      `select r.rolname as role, d.datname as database,
         split_part(entry, '=', 1) as name, substr(entry, strpos(entry, '=') + 1) as value
       from pg_db_role_setting as s
       left join pg_roles as r on r.oid = s.setrole
       left join pg_database as d on d.oid = s.setdatabase
       cross join lateral unnest(s.setconfig) as entry
       where s.setdatabase = 0 or d.datname = current_database()
       order by r.rolname nulls first, d.datname nulls first, name`,
    );
    const findings = rows.flatMap(findingOf);
    return { findings, seen: `${countOf(rows.length, 'setting')} of the database and of roles` };
  },
};

type Override = { role: string | null; database: string | null; name: string; value: string };

function findingOf(override: Override): Finding[] {
  const rule = RULES.find(({ name, values }) => {
    return name === override.name && values.includes(override.value);
  });
  if (!rule) return [];
  const { level, why } = rule;
  const what = `${override.name} is ${override.value} for ${whoseText(override)}.`;
  return [{ level, what, why, fix: resetSql(override) }];
}

function whoseText({ role, database }: Override): string {
  const who = role === null ? 'all sessions' : `sessions of role ${escapeIdentifier(role)}`;
  return database === null ? who : `${who} in database ${escapeIdentifier(database)}`;
}

function resetSql({ role, database, name }: Override): string {
  const setting = name.split('.').map(escapeIdentifier).join('.');
  if (role === null && database !== null) {
    return `alter database ${escapeIdentifier(database)} reset ${setting};`;
  }
  const where = database === null ? '' : ` in database ${escapeIdentifier(database)}`;
  return `alter role ${role === null ? 'all' : escapeIdentifier(role)}${where} reset ${setting};`;
}

type Rule = { name: string; values: string[]; level: Severity; why: string };

const RULES: readonly Rule[] = [
  {
    name: 'session_replication_role',
    values: ['replica'],
    level: 'problem',
    why:
      'Triggers do not fire in these sessions: ' +
      'their changes to captured tables are never recorded.',
  },
  {
    name: 'pgwatch.notify',
    values: ['off'],
    level: 'note',
    why:
      'Notifications from these sessions do not wake daemons, ' +
      'which find them at their next poll, seconds later.',
  },
  {
    name: 'pgwatch.notify',
    values: ['always'],
    level: 'note',
    why:
      'Each of their commits sends a NOTIFY, ' +
      'and commits with NOTIFY wait for each other in the whole cluster.',
  },
  {
    name: 'synchronous_commit',
    values: ['off'],
    level: 'note',
    why:
      'If the server crashes, the last of their commits are lost with their notifications, ' +
      'which consumers may have handled already.',
  },
  {
    name: 'default_transaction_read_only',
    values: ['on', 'true', 'yes', '1'],
    level: 'problem',
    why:
      'These sessions can neither publish nor save positions, ' +
      'unless each transaction is set to read write.',
  },
];
