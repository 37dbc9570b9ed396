import type { Client } from 'pg';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { withTransaction } from '../../src/database/transaction.ts';
import { lockLeases } from '../../src/log/by-hand/locks.ts';
import type { Lease } from '../../src/log/leases/lease.ts';
import { absorbLeases, type LeaseRest, settleLeases } from '../../src/log/leases/settle.ts';
import { insertLeases } from '../../src/log/leases/take.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: a process that settles leases, and whoever changes all leases of the consumer, never wait for
each other in a circle.
Method: a third session holds the later of two leases. Both the process and the other wait, and
whoever holds the earlier one by then must not need the later one while the other has it.
*/

const database = useDatabase();
const DAEMON = '00000000-0000-0000-0000-000000000001';
let holder: Client;
let settling: Client;
let changing: Client;

beforeAll(async () => {
  [holder, settling, changing] = [
    await database.connect(),
    await database.connect(),
    await database.connect(),
  ];
});
afterEach(async () => {
  await holder.query('rollback');
  await emptyLog(database);
});

type Settle = (rests: readonly LeaseRest[]) => Promise<boolean>;

const inOrder: Settle = (rests) =>
  withTransaction(settling, () => settleLeases(settling, 'pgwatch', DAEMON, rests));

/** As it was: those that are finished first. */
const finishedFirst: Settle = (rests) =>
  withTransaction(settling, async () => {
    const isFinished = ({ notificationIds }: LeaseRest) => notificationIds.length === 0;
    const finished = rests.filter(isFinished);
    const others = rests.filter((rest) => !isFinished(rest));
    await settleLeases(settling, 'pgwatch', DAEMON, finished);
    return settleLeases(settling, 'pgwatch', DAEMON, others);
  });

const CHANGES = {
  'a change by hand': (client: Client) => lockLeases(client, 'pgwatch', 'c'),
  'the end of sharing': (client: Client) => absorbLeases(client, 'pgwatch', 'c'),
};

async function takeTwo(): Promise<[Lease, Lease]> {
  const parts = [1, 2].map((slot) => ({
    kind: 'page' as const,
    slot,
    notificationIds: [slot * 10, slot * 10 + 1],
  }));
  const take = { consumerId: 'c', daemonId: DAEMON, isStopping: false, count: 2 };
  const taken = await insertLeases(settling, 'pgwatch', 'c', parts, take);
  return taken as [Lease, Lease];
}

async function isWaiting(client: Client): Promise<boolean> {
  const { processID } = client as unknown as { processID: number };
  const { rows } = await database.query(
    `select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'`,
    [processID],
  );
  return rows.length > 0;
}

/** Runs both while the second lease, which is finished, is locked. Returns what went wrong. */
async function cross(
  settle: Settle,
  change: (client: Client) => Promise<void>,
): Promise<unknown[]> {
  const [first, second] = await takeTwo();
  await holder.query('begin');
  await holder.query('select from pgwatch.lease where lease_id = $1 for update', [second.leaseId]);
  const rests = [
    { ...second, notificationIds: [] },
    { ...first, notificationIds: [11] },
  ];
  const settled = settle(rests);
  settled.catch(() => {});
  await until('it waits', () => isWaiting(settling));
  const changed = withTransaction(changing, () => change(changing));
  changed.catch(() => {});
  await until('both wait', () => isWaiting(changing));
  await holder.query('commit');
  const ends = await Promise.allSettled([settled, changed]);
  return ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
}

test.each(Object.entries(CHANGES))('leases that are settled do not cross %s', async (_, change) => {
  expect(await cross(inOrder, change)).toEqual([]);
});

test('the same test catches leases that are settled in another order', async () => {
  const [failure] = await cross(finishedFirst, CHANGES['a change by hand']);
  expect(failure).toMatchObject({ message: 'deadlock detected' });
});
