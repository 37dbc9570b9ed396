import { expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { startDaemon, type TestDaemon, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

/*
A deployment stops a version of a shared consumer without order by key, and starts one with it: what
the old processes had taken and not begun is divided by key before anything else happens.
*/

const database = useDatabase({ maxBatchSize: 50, shutdownTimeout: '10ms' });
const { start } = useDaemons(database);

const COUNT = 600;
const shared = { id: 'c', channels: ['c'], instances: 'shared' as const };

async function leaveUnordered(): Promise<TestDaemon> {
  const never = new Promise(() => {});
  const old = startDaemon(database.config, [
    { ...shared, order: 'none', handle: () => never as Promise<void> },
  ]);
  await publishRange(database, 1, COUNT, { keys: 5 });
  await until('it has taken some', async () => {
    const { rowCount } = await database.query('select from pgwatch.lease where slot is null');
    return Number(rowCount) > 2;
  });
  return old;
}

test('a shared consumer that becomes ordered by key is delivered in order', async () => {
  const old = await leaveUnordered();
  await old.stop();
  const seen: number[] = [];
  const running = new Set<string | null>();
  let overlaps = 0;
  const handle = async ({ payload, key }: Notification) => {
    if (running.has(key)) overlaps += 1;
    running.add(key);
    await new Promise((resolve) => setTimeout(resolve, 1));
    seen.push(payload as number);
    running.delete(key);
  };
  for (let process = 0; process < 2; process += 1) {
    start({ ...shared, concurrency: 8, handle });
  }
  await until('all are handled', () => seen.length >= COUNT || `${seen.length}`, 30_000);
  const byKey = [...Map.groupBy(seen, (n) => n % 5).values()];
  expect(byKey).toEqual(byKey.map((numbers) => numbers.toSorted((a, b) => a - b)));
  expect([seen.length, overlaps]).toEqual([COUNT, 0]);
}, 40_000);
