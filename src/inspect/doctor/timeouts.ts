import { formatDuration } from '../../time.ts';
import type { Check, Finding } from './check.ts';

/** Timeouts that the server or the role sets, and that end what handlers do. */
export const timeouts: Check = {
  name: 'timeouts',
  runs: 'transaction',
  needs: 'nothing',
  async run(client) {
    // What a session begins with: the doctor's own has been changed for this transaction.
    const { rows } = await client.query<Timeout>(
      'select name, reset_val::float8 as ms from pg_settings where name = any($1)',
      [RULES.map(({ name }) => name)],
    );
    const set = rows.filter(({ ms }) => ms > 0);
    const seen =
      set.map(({ name, ms }) => `${name} ${formatDuration(ms)}`).join(', ') || 'none set';
    return { findings: timeoutFindings(rows), seen };
  },
};

export type Timeout = { name: string; ms: number };

/** What is to be said of them; 0 is none. */
export function timeoutFindings(given: readonly Timeout[]): Finding[] {
  return RULES.flatMap(({ name, level, leastMs: least, why }) => {
    const ms = given.find((each) => each.name === name)?.ms ?? 0;
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
  leastMs: number;
};

const RULES: readonly Rule[] = [
  {
    name: 'statement_timeout',
    level: 'note',
    leastMs: 10_000,
    why: 'What a handler asks by context.db is cancelled after that time. The connections of pgwatch itself have none.',
  },
  {
    name: 'transaction_timeout',
    level: 'note',
    leastMs: 300_000,
    why: 'Handlers of consumers with transaction: true may take as long as their timeout, by default five minutes: the server ends them before.',
  },
];
