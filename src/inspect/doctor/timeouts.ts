import type { Config } from '../../config/define.ts';
import { formatDuration } from '../../time.ts';
import type { Check, Finding } from './check.ts';

/** Timeouts that the server or the role sets, and that end what a daemon has to do. */
export const timeouts: Check = {
  name: 'timeouts',
  runs: 'transaction',
  needs: 'nothing',
  async run(client, { config }) {
    // What a session begins with: the doctor's own has been changed for this transaction.
    const { rows } = await client.query<Timeout>(
      'select name, reset_val::float8 as ms from pg_settings where name = any($1)',
      [RULES.map(({ name }) => name)],
    );
    const set = rows.filter(({ ms }) => ms > 0);
    const seen =
      set.map(({ name, ms }) => `${name} ${formatDuration(ms)}`).join(', ') || 'none set';
    return { findings: timeoutFindings(rows, config), seen };
  },
};

export type Timeout = { name: string; ms: number };

/** What is to be said of them; 0 is none. */
export function timeoutFindings(
  given: readonly Timeout[],
  config: Pick<Config, 'heartbeatIntervalMs'>,
): Finding[] {
  return RULES.flatMap(({ name, level, leastMs, why }) => {
    const ms = given.find((each) => each.name === name)?.ms ?? 0;
    const least = leastMs(config);
    if (ms === 0 || ms >= least) return [];
    return [
      {
        level,
        what: `Sessions of this role begin with ${name} ${formatDuration(ms)}.`,
        why,
        fix: `alter role current_user set ${name} = '${Math.ceil(least / 1000)}s'; or 0, which is none.`,
      },
    ];
  });
}

type Rule = Pick<Finding, 'level' | 'why'> & {
  name: string;
  leastMs(config: Pick<Config, 'heartbeatIntervalMs'>): number;
};

const RULES: readonly Rule[] = [
  {
    name: 'statement_timeout',
    level: 'problem',
    leastMs: () => 10_000,
    why: 'A backlog is streamed for up to three seconds at a time, longer on a slow disk: what is cancelled there is read again and again.',
  },
  {
    name: 'transaction_timeout',
    level: 'note',
    leastMs: () => 300_000,
    why: 'Handlers of consumers with transaction: true may take as long as their timeout, by default five minutes: the server ends them before.',
  },
  {
    name: 'idle_session_timeout',
    level: 'problem',
    leastMs: ({ heartbeatIntervalMs }) => 2 * heartbeatIntervalMs,
    why: 'The control connection is idle between two heartbeats: the server ends it, and each time all consumers begin anew.',
  },
];
