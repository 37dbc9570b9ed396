import { formatDuration } from '../../time.ts';
import type { Check, Finding } from './check.ts';
import { readSessions, type Session, sessionText } from './sessions.ts';

/** Checks the NOTIFY queue: which sessions keep it from being emptied or wait for its lock. */
export const queue: Check = {
  name: 'queue',
  runs: 'transaction',
  needs: 'nothing',
  async run(client, { limits }) {
    const { rows: usages } = await client.query<{ usage: number }>(
      'select pg_notification_queue_usage() as usage',
    );
    const usage = usages[0]?.usage ?? 0;
    const holders = (await readSessions(client)).slice(0, 3);
    const { rows: waiting } = await client.query<Waiting>(
      `select count(*)::integer as count,
         max(extract(epoch from clock_timestamp() - w.waitstart))::float8 * 1000 as "waitedMs",
         (select h.pid from pg_locks as h where h.granted and ${NOTIFY_LOCK('h')} limit 1) as holder
       from pg_locks as w where not w.granted and ${NOTIFY_LOCK('w')}`,
    );
    const [found = NONE] = waiting;
    const findings = [
      ...usageFindings(usage, holders),
      ...waitFindings(found, limits.notifyWaitMs),
    ];
    return { findings, seen: `${percent(usage)} full, ${found.count} waiting to NOTIFY` };
  },
};

/** Findings about how full the queue is. */
export function usageFindings(usage: number, holders: readonly Session[]): Finding[] {
  if (usage < NOTEWORTHY) return [];
  const isHigh = usage >= RINGING_STOPS;
  const who = holders.map(sessionText).join('; ');
  const [oldest] = holders;
  return [
    {
      level: isHigh ? 'problem' : 'note',
      what:
        `The NOTIFY queue is ${percent(usage)} full.` +
        (who && ` The oldest transactions, in all databases: ${who}.`),
      why: isHigh
        ? 'The doorbell is off, so daemons only poll; ' +
          'once the queue is full, commits of other programs that use NOTIFY fail.'
        : 'A listening session is in a transaction and does not read; ' +
          'from 50 % on the doorbell is off.',
      // The fix is meant to be copied, so it contains no text of other sessions.
      fix: oldest
        ? `End the session that listens: select pg_terminate_backend(${oldest.pid});`
        : 'Find the session that listens but does not read: ' +
          "select * from pg_stat_activity where query ilike 'listen%';",
    },
  ];
}

export type Waiting = { count: number; waitedMs: number | null; holder: number | null };

/** Findings about sessions that wait for each other's commits. */
export function waitFindings({ count, waitedMs, holder }: Waiting, limitMs: number): Finding[] {
  const isLong = (waitedMs ?? 0) >= limitMs;
  if (count === 0 || (count < CROWD && !isLong)) return [];
  const who = holder === null ? '' : ` pid ${holder} holds the lock.`;
  return [
    {
      level: isLong ? 'problem' : 'note',
      what:
        `${count} session${count === 1 ? ' is' : 's are'} waiting to commit a NOTIFY, ` +
        `for up to ${formatDuration(waitedMs ?? 0)}.${who}`,
      why:
        'Transactions with NOTIFY commit one at a time in the whole cluster, ' +
        'each after its flush to disk, or to a synchronous standby.',
      fix:
        "alter database … set pgwatch.notify = 'doorbell'; unless plain LISTEN clients read the " +
        'notifications. Check what the holder waits for, such as an absent synchronous standby.',
    },
  ];
}

/** NOTIFY takes its lock on "the database with oid 0". */
const NOTIFY_LOCK = (lock: string) =>
  `${lock}.locktype = 'object' and ${lock}.classid = 'pg_database'::regclass and ${lock}.objid = 0`;

function percent(usage: number): string {
  return `${(usage * 100).toFixed(usage > 0 && usage < 0.01 ? 2 : 0)} %`;
}

const NONE: Waiting = { count: 0, waitedMs: null, holder: null };
const NOTEWORTHY = 0.05;
/** As in doorbell_ring and notification_announce. */
const RINGING_STOPS = 0.5;
/** This many at one moment are not a coincidence. */
const CROWD = 8;
