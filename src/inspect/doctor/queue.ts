import { formatDuration } from '../../time.ts';
import type { Check, Finding } from './check.ts';
import { readSessions, type Session, sessionText } from './sessions.ts';

/** The queue of NOTIFY, who keeps it from being emptied, and who waits for its lock. */
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
      `select count(*)::integer as count, max(extract(epoch from clock_timestamp() - w.waitstart))::float8 * 1000 as "waitedMs",
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

/** What is to be said of how full the queue is. */
export function usageFindings(usage: number, holders: readonly Session[]): Finding[] {
  if (usage < NOTEWORTHY) return [];
  const isHigh = usage >= RINGING_STOPS;
  const who = holders.map(sessionText).join('; ');
  const [oldest] = holders;
  return [
    {
      level: isHigh ? 'problem' : 'note',
      what: `The queue of NOTIFY is ${percent(usage)} full.${who && ` The oldest transactions, in all databases: ${who}.`}`,
      why: isHigh
        ? 'pgwatch has stopped ringing, so that daemons only poll; when it is full, commits of others that NOTIFY fail.'
        : 'A session that listens is in a transaction and takes nothing out; from 50 % on pgwatch does not ring any more.',
      // No text of others stands in what is there to be copied.
      fix: oldest
        ? `End the transaction of the one that listens: select pg_terminate_backend(${oldest.pid});`
        : "Find who listens and does not read: select * from pg_stat_activity where query ilike 'listen%';",
    },
  ];
}

export type Waiting = { count: number; waitedMs: number | null; holder: number | null };

/** What is to be said of those who wait for each other's commits. */
export function waitFindings({ count, waitedMs, holder }: Waiting, limitMs: number): Finding[] {
  const isLong = (waitedMs ?? 0) >= limitMs;
  if (count === 0 || (count < CROWD && !isLong)) return [];
  const who = holder === null ? '' : ` pid ${holder} holds the lock.`;
  return [
    {
      level: isLong ? 'problem' : 'note',
      what: `${count} session${count === 1 ? ' waits' : 's wait'} to commit a NOTIFY, up to ${formatDuration(waitedMs ?? 0)}.${who}`,
      why: 'Transactions with NOTIFY commit one after the other in the whole cluster, each after its flush to disk, or to a synchronous standby.',
      fix: `alter database … set pgwatch.notify = 'doorbell'; where no plain LISTEN client reads the notifications. Look at what the holder waits for, as an absent synchronous standby.`,
    },
  ];
}

/** It is taken on "the database with oid 0". */
const NOTIFY_LOCK = (lock: string) =>
  `${lock}.locktype = 'object' and ${lock}.classid = 'pg_database'::regclass and ${lock}.objid = 0`;

function percent(usage: number): string {
  return `${(usage * 100).toFixed(usage > 0 && usage < 0.01 ? 2 : 0)} %`;
}

const NONE: Waiting = { count: 0, waitedMs: null, holder: null };
const NOTEWORTHY = 0.05;
/** As in doorbell_ring and notification_announce. */
const RINGING_STOPS = 0.5;
/** As many at one moment are no accident. */
const CROWD = 8;
