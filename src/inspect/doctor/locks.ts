import type { AdvisoryHolder } from '../../database/advisory.ts';
import { ROWS_WHY, readIdleWriters, remedy, rowsSentence } from '../../database/in-the-way.ts';
import {
  type LockedTable,
  lockedText,
  readLockedTables,
  unlockSql,
} from '../../database/locked.ts';
import type { Check, Finding } from './check.ts';
import type { ServerLimits } from './limits.ts';

/** Finds sessions that keep others from reading our tables, or daemons from rows of them. */
export const locks: Check = {
  name: 'locks',
  runs: 'transaction',
  needs: 'nothing',
  async run(client, { config, limits }) {
    const locked = await readLockedTables(client, config.schema);
    const rows = await readIdleWriters(client, config.schema);
    const long = rows.filter(({ ms }) => ms === null || ms >= limits.lockMs);
    const findings = [
      ...locked.flatMap((table) => lockFindings(table, config.schema, limits)),
      ...long.map((holder) => rowsFinding(holder, config.schema)),
    ];
    return {
      findings,
      seen: findings.length > 0 ? `${findings.length} held` : 'none held for long',
    };
  },
};

function rowsFinding(holder: AdvisoryHolder, schema: string): Finding {
  const what = rowsSentence(holder, schema);
  return { level: 'problem', what, why: ROWS_WHY, fix: remedy(holder) };
}

/** Findings about one table. Brief locks are a normal part of cleanup and migrations. */
export function lockFindings(
  locked: LockedTable,
  schema: string,
  { lockMs }: Pick<ServerLimits, 'lockMs'>,
): Finding[] {
  const { table, holders, waiters } = locked;
  const times =
    waiters.length > 0
      ? waiters.map(({ ms }) => ms ?? 0)
      : holders.map(({ ms }) => ms ?? Number.POSITIVE_INFINITY);
  if (Math.max(...times) < lockMs) return [];
  return [
    {
      level: 'problem',
      what: `The table ${schema}.${table} is locked: ${lockedText(locked)}.`,
      why:
        'All other sessions that read or write it wait: publishers, daemons, ' +
        'and the commands of pgwatch.',
      fix: `Wait until they are done, or: ${unlockSql(locked)}`,
    },
  ];
}
