import type { Check, Finding, Severity } from './check.ts';

/** Finds settings of the server that lose commits, or switch off vacuum, statistics or triggers. */
export const settings: Check = {
  name: 'settings',
  runs: 'transaction',
  needs: 'nothing',
  async run(client) {
    const { rows } = await client.query<Setting>(
      `select name, setting as value, source from pg_settings where name = any($1)`,
      [RULES.map(({ name }) => name)],
    );
    return { findings: settingFindings(rows), seen: rows.map(({ name }) => name).join(', ') };
  },
};

export type Setting = { name: string; value: string; source: string };

/** Findings about settings, except those of a database or a role, which another check covers. */
export function settingFindings(given: readonly Setting[]): Finding[] {
  return RULES.flatMap(({ name, wrong, right, level, why }) => {
    const setting = given.find((each) => each.name === name);
    if (!setting || !wrong.includes(setting.value) || OVERRIDES.has(setting.source)) return [];
    const what = `${name} is ${setting.value} (${sourceText(setting.source)}).`;
    return [{ level, what, why, fix: fixFor(setting, right) }];
  });
}

function sourceText(source: string): string {
  return SOURCES[source] ?? `set by ${source}`;
}

function fixFor({ name, source }: Setting, right: string): string {
  if (source === 'command line')
    return `Start the server with -c ${name}=${right}, or without -c ${name}.`;
  if (source === 'client' || source === 'environment variable') {
    return `Remove ${name} from the connection string and PGOPTIONS.`;
  }
  return `alter system set ${name} = ${right}; select pg_reload_conf();`;
}

type Rule = { name: string; wrong: string[]; right: string; level: Severity; why: string };

const RULES: readonly Rule[] = [
  {
    name: 'fsync',
    wrong: ['off'],
    right: 'on',
    level: 'problem',
    why: 'If the machine loses power, the whole cluster may be damaged, including the log.',
  },
  {
    name: 'full_page_writes',
    wrong: ['off'],
    right: 'on',
    level: 'problem',
    why:
      'If the machine loses power, pages may be left half written, ' +
      'and PostgreSQL cannot repair them.',
  },
  {
    name: 'synchronous_commit',
    wrong: ['off'],
    right: 'on',
    level: 'note',
    why:
      'If the server crashes, the last commits are lost with their notifications, ' +
      'which consumers may have handled already.',
  },
  {
    name: 'default_transaction_read_only',
    wrong: ['on'],
    right: 'off',
    level: 'problem',
    why:
      'Nothing can be published, and no position saved, ' +
      'unless each transaction is set to read write.',
  },
  {
    name: 'session_replication_role',
    wrong: ['replica', 'local'],
    right: 'origin',
    level: 'problem',
    why: 'With replica, no trigger fires: changes of captured tables are not recorded.',
  },
  {
    name: 'autovacuum',
    wrong: ['off'],
    right: 'on',
    level: 'problem',
    why:
      'consumer_progress and delivery are updated all the time: ' +
      'without vacuum they grow and become slow.',
  },
  {
    name: 'track_counts',
    wrong: ['off'],
    right: 'on',
    level: 'problem',
    why: 'Autovacuum needs these counts: without them it does nothing.',
  },
  {
    name: 'track_activities',
    wrong: ['off'],
    right: 'on',
    level: 'note',
    why: 'Sessions that hold a lock, or a transaction open, do not show what they are doing.',
  },
];

/** As in pg_settings.source. */
const SOURCES: Readonly<Record<string, string>> = {
  default: 'the default',
  'command line': 'set on the command line',
  'configuration file': 'set in the configuration file',
  'environment variable': 'set in the environment',
};

/** The check of overrides reports these, with the database or role. */
const OVERRIDES = new Set(['database', 'user', 'database user']);
