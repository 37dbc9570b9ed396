import { expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { startTailing, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';
import { size } from '../helpers/whole.ts';

const database = useDatabase({ maxBatchSize: 10, shutdownTimeout: '50ms' });
const { start, tail } = useDaemons(database);

/** A consumer whose call for the first notification waits until it is released. */
function holding() {
  const seen: number[] = [];
  const first = Promise.withResolvers<void>();
  const definition = {
    id: 'c',
    channels: ['c'],
    concurrency: 4,
    async handle({ payload }: Notification) {
      if (payload === 1) await first.promise;
      else await new Promise((resolve) => setTimeout(resolve, 1));
      seen.push(payload as number);
    },
  };
  return { seen, definition, letGo: first.resolve };
}

const ofFirstKey = (n: number) => n % 50 === 1;

// More than a consumer holds in memory; in a whole run, many times that.
const COUNT = size(8000, 2500);

test('a call that does not return holds only its own key, whatever follows', async () => {
  const { seen, definition, letGo } = holding();
  await tail(definition);
  await publishRange(database, 1, COUNT, { keys: 50 });
  const others = COUNT - COUNT / 50;
  await until('all others are handled', () => seen.length === others || `${seen.length}`, 60_000);
  expect(seen.some(ofFirstKey)).toBe(false);
  letGo();
  await until('its key follows', () => seen.length === COUNT || `${seen.length}`, 60_000);
  const key = seen.filter(ofFirstKey);
  expect(key).toEqual([...key].sort((a, b) => a - b));
  await until('nothing is left', async () => {
    const { rowCount } = await database.query('select from pgwatch.delivery');
    return rowCount === 0 || `${rowCount}`;
  });
}, 90_000);

test('if its process ends meanwhile, it is called again and nothing else is', async () => {
  const { seen, definition } = holding();
  const daemon = await startTailing(database.config, [{ ...definition, timeout: '1s' }]);
  await publishRange(database, 1, 1, { keys: 50 });
  await publishRange(database, 2, 2000, { keys: 50 });
  await until('it is filed', async () => {
    const { rowCount } = await database.query(`select from pgwatch.delivery where state = 'retry'`);
    return rowCount === 1;
  });
  await daemon.stop();
  const before = [...seen];
  const again = holding();
  again.letGo();
  start(again.definition);
  await until('it is called again', () => again.seen.includes(1), 30_000);
  await until('all are handled', () => before.length + again.seen.length === 2000);
  expect(again.seen.filter((n) => before.includes(n))).toEqual([]);
}, 60_000);

test('a retry of it meanwhile does not start a second concurrent call', async () => {
  const { definition, letGo } = holding();
  const called: number[] = [];
  let hasFailed = false;
  const handle = async (notification: Notification) => {
    const payload = notification.payload as number;
    called.push(payload);
    if (payload === 3000 && !hasFailed) {
      hasFailed = true;
      throw new Error('once');
    }
    await definition.handle(notification);
  };
  const retry = { backoff: 1 };
  await tail({ ...definition, retry, handle });
  await publishRange(database, 1, 1, { keys: 50 });
  await publishRange(database, 2, 1000, { keys: 50 });
  await until('it is filed', async () => {
    const { rowCount } = await database.query(`select from pgwatch.delivery where state = 'retry'`);
    return rowCount === 1;
  });
  await database.query('update pgwatch.delivery set next_attempt_at = now()');
  // Whatever looks for this one would find the other due, too.
  await publishRange(database, 3000, 3000, { keys: 49 });
  await until('that is retried', () => called.filter((n) => n === 3000).length === 2);
  expect(called.filter((n) => n === 1)).toEqual([1]);
  letGo();
  await until('nothing is left', async () => {
    const { rowCount } = await database.query('select from pgwatch.delivery');
    return rowCount === 0 || `${rowCount}`;
  });
  expect(called.filter((n) => n === 1)).toEqual([1]);
}, 60_000);
