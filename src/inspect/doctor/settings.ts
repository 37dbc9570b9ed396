import type { Check, Finding, Severity } from './check.ts';

/** Settings of the server by which commits, statistics or vacuum are not what they should be. */
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

/** What is to be said of the settings; those of a database or a role are another check's. */
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
    return `Take ${name} out of the connection string and PGOPTIONS.`;
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
    why: 'When the machine loses power the whole cluster may be damaged, the log with it.',
  },
  {
    name: 'full_page_writes',
    wrong: ['off'],
    right: 'on',
    level: 'problem',
    why: 'When the machine loses power, pages may be left half written, and PostgreSQL cannot mend them.',
  },
  {
    name: 'synchronous_commit',
    wrong: ['off'],
    right: 'on',
    level: 'note',
    why: 'When the server crashes, the last commits are lost, their notifications with them; consumers may have handled those already.',
  },
  {
    name: 'default_transaction_read_only',
    wrong: ['on'],
    right: 'off',
    level: 'problem',
    why: 'Nothing can be published, and no position saved, unless each transaction says otherwise.',
  },
  {
    name: 'session_replication_role',
    wrong: ['replica', 'local'],
    right: 'origin',
    level: 'problem',
    why: 'With replica no trigger fires, so that no change of a captured table is recorded.',
  },
  {
    name: 'autovacuum',
    wrong: ['off'],
    right: 'on',
    level: 'problem',
    why: 'consumer_progress and delivery are updated all the time: without vacuum they grow and get slow.',
  },
  {
    name: 'track_counts',
    wrong: ['off'],
    right: 'on',
    level: 'problem',
    why: 'Autovacuum goes by these counts: without them it does nothing.',
  },
  {
    name: 'track_activities',
    wrong: ['off'],
    right: 'on',
    level: 'note',
    why: 'Nobody can see which session holds a transaction open, or a lock, and what it is doing.',
  },
];

/** As in pg_settings.source. */
const SOURCES: Readonly<Record<string, string>> = {
  default: 'the default',
  'command line': 'set on the command line',
  'configuration file': 'set in the configuration file',
  'environment variable': 'set in the environment',
};

/** Told of with their names by the check of overrides. */
const OVERRIDES = new Set(['database', 'user', 'database user']);
