import { formatDuration } from '../../time.ts';
import type { Check, Finding } from './check.ts';

/** Finds timeouts of the server or the role that interrupt handlers. */
export const timeouts: Check = {
  name: 'timeouts',
  runs: 'transaction',
  needs: 'nothing',
  async run(client) {
    // reset_val is what a session starts with; the doctor has changed its own for this transaction.
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

/** Findings about timeouts; 0 is none. */
export function timeoutFindings(given: readonly Timeout[]): Finding[] {
  return RULES.flatMap(({ name, level, leastMs: least, why }) => {
    const ms = given.find((each) => each.name === name)?.ms ?? 0;
    if (ms === 0 || ms >= least) return [];
    return [
      {
        level,
        what: `Sessions of this role start with ${name} ${formatDuration(ms)}.`,
        why,
        fix: `alter role current_user set ${name} = '${Math.ceil(least / 1000)}s'; or 0 for none.`,
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
    why:
      'Queries that a handler runs with context.db are cancelled after that time. ' +
      'The connections of pgwatch itself have none.',
  },
  {
    name: 'transaction_timeout',
    level: 'note',
    leastMs: 300_000,
    why:
      'Handlers of consumers with transaction: true may take as long as their timeout, ' +
      'by default five minutes, but the server ends them earlier.',
  },
];
