import { expect, test } from 'vitest';
import type { ConsumerContext } from '../../src/consumers/define.ts';
import { changeDeadLetters } from '../../src/log/by-hand/dead-letter-change.ts';
import { NO_FILTER } from '../../src/log/deliveries/filter.ts';
import type { Notification } from '../../src/log/notification.ts';
import { runOnce, startDaemon, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { addDelivery } from '../helpers/deliveries.ts';
import { handlersOnly } from '../helpers/doors/only.ts';
import { publish, publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase({ maxBatchSize: 100, heartbeatInterval: '200ms' });
const { start, tail } = useDaemons(database);

const onceTest = handlersOnly('subscribe() has no once');

type Seen = { process: number; payload: number; key: string };

/** A shared consumer, as run by one of several processes. */
function sharer(process: number, seen: Seen[], options: object = {}) {
  return {
    id: 'c',
    channels: ['c'],
    instances: 'shared' as const,
    async handle({ payload, key }: Notification, _: ConsumerContext) {
      if (all.has(key as string)) throw new Error(`${key} is handled twice at once`);
      all.add(key as string);
      await new Promise((resolve) => setImmediate(resolve));
      seen.push({ process, payload: payload as number, key: key as string });
      all.delete(key as string);
    },
    ...options,
  };
}

/** The keys that any process is handling. */
const all = new Set<string>();

function judge(seen: readonly Seen[], count: number): void {
  expect(seen.map(({ payload }) => payload).sort((a, b) => a - b)).toEqual(
    Array.from({ length: count }, (_, index) => index + 1),
  );
  for (const of of Map.groupBy(seen, ({ key }) => key).values()) {
    const numbers = of.map(({ payload }) => payload);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  }
}

async function nothingIsLeft(): Promise<boolean | string> {
  const { rows } = await database.query(
    `select (select count(*) from pgwatch.lease)::int as leases,
       (select count(*) from pgwatch.delivery)::int as deliveries`,
  );
  return (rows[0].leases === 0 && rows[0].deliveries === 0) || JSON.stringify(rows[0]);
}

test('four processes share a backlog: each notification once, each key in order', async () => {
  const seen: Seen[] = [];
  await publishRange(database, 1, 4000, { keys: 50 });
  for (const process of [1, 2, 3, 4]) {
    start(sharer(process, seen, { concurrency: 4 }));
  }
  await until('all are handled', () => seen.length >= 4000 || `${seen.length}`);
  await until('nothing is left', nothingIsLeft);
  judge(seen, 4000);
  const counts = [1, 2, 3, 4].map((process) => seen.filter((s) => s.process === process).length);
  console.log(`handled by each: ${counts.join(', ')}`);
  expect(Math.min(...counts)).toBeGreaterThan(100);
});

test('new notifications are shared, too, and a failing key delays no other', async () => {
  const seen: Seen[] = [];
  const failures = new Map<number, number>();
  const failing = (process: number) => {
    const definition = sharer(process, seen, { retry: { backoff: '10ms' } });
    return {
      ...definition,
      async handle(notification: Notification, context: ConsumerContext) {
        const payload = notification.payload as number;
        if (payload % 7 === 0 && (failures.get(payload) ?? 0) < 2) {
          failures.set(payload, (failures.get(payload) ?? 0) + 1);
          throw new Error('not yet');
        }
        await definition.handle(notification, context);
      },
    };
  };
  await tail(failing(1));
  await tail(failing(2));
  for (let n = 1; n <= 300; n++) {
    await publish(database, n, { key: `key:${n % 10}` });
  }
  await until('all are handled', () => seen.length >= 300 || `${seen.length}`);
  await until('nothing is left', nothingIsLeft);
  judge(seen, 300);
});

test('a process that joins gets a share, and one that leaves returns its share', async () => {
  const seen: Seen[] = [];
  await publishRange(database, 1, 3000, { keys: 40 });
  const first = startDaemon(database.config, [sharer(1, seen)]);
  await until('the first works', () => seen.length > 100);
  start(sharer(2, seen));
  await until('the second works', () => seen.some(({ process }) => process === 2));
  await first.stop();
  await until('all are handled', () => seen.length >= 3000 || `${seen.length}`);
  await until('nothing is left', nothingIsLeft);
  judge(seen, 3000);
});

test('with transaction: true each effect happens once, whichever process runs it', async () => {
  await database.query('create table effect (n int)');
  await publishRange(database, 1, 1000, { keys: 30 });
  for (let index = 0; index < 3; index++) {
    start({
      id: 'c',
      channels: ['c'],
      instances: 'shared',
      transaction: true,
      handle: ({ payload }, { db }) => db.query('insert into effect values ($1)', [payload]),
    });
  }
  await until('all are there', async () => {
    const { rows } = await database.query('select count(*)::int as count from effect');
    return rows[0].count >= 1000 || `${rows[0].count}`;
  });
  await until('nothing is left', nothingIsLeft);
  const { rows } = await database.query(
    'select count(*)::int as count, count(distinct n)::int as different from effect',
  );
  expect(rows).toEqual([{ count: 1000, different: 1000 }]);
});

test('a consumer switches between one process and several without loss', async () => {
  const seen: Seen[] = [];
  await publishRange(database, 1, 1000, { keys: 20 });
  const shared = startDaemon(database.config, [sharer(1, seen)]);
  await until('it works', () => seen.length > 50);
  const alone = start(sharer(2, seen, { instances: 'one' }));
  await alone.transitions.for({ type: 'consumer_standby' });
  await shared.stop();
  await alone.transitions.for({ type: 'consumer_owned' });
  start(sharer(3, seen));
  await until('all are handled', () => seen.length >= 1000 || `${seen.length}`);
  judge(seen, 1000);
});

onceTest('--once handles everything pending, and reports what failed', async () => {
  const seen: Seen[] = [];
  await publishRange(database, 1, 50, { keys: 5 });
  const definition = sharer(1, seen);
  const failing = {
    ...definition,
    async handle(notification: Notification, context: ConsumerContext) {
      if (notification.payload === 50) throw new Error('no');
      await definition.handle(notification, context);
    },
  };
  await expect(runOnce(database.config, failing).ended).rejects.toThrow('1 of c');
  judge(seen, 49);
});

onceTest('--once does not touch a consumer that another process runs alone', async () => {
  const seen: Seen[] = [];
  await tail(sharer(1, seen, { instances: 'one' }));
  const { reports, ended } = runOnce(database.config, sharer(2, seen));
  await ended;
  expect(reports.join('')).toContain('c is run by another process alone');
});

test("with onDead: 'stop' a dead letter of one process stops the others", async () => {
  const gate = Promise.withResolvers<void>();
  const [first, second]: [Seen[], Seen[]] = [[], []];
  const handle = (seen: Seen[]) => async (notification: Notification) => {
    if (notification.payload === 'dead') throw new Error('never');
    seen.push(notification as unknown as Seen);
    await gate.promise;
  };
  const options = { onDead: 'stop', retry: { attempts: 1 } };
  const busy = await tail(sharer(1, [], { ...options, handle: handle(first) }));
  await publishRange(database, 1, 200, { keys: 200 });
  await until('it is busy', () => first.length === 1);
  await tail(sharer(2, [], { ...options, handle: handle(second) }));
  await publish(database, 'dead');
  const stopped = "c has a dead letter and onDead: 'stop'";
  await until('the busy one knows', () => busy.reports.join('').includes(stopped));
  gate.resolve();
  await busy.stop();
  expect(first).toHaveLength(1);
});

onceTest("--once reports that an earlier dead letter stops it, with onDead: 'stop'", async () => {
  await addDelivery(database, { consumerId: 'c', channel: 'c' });
  const { ended } = runOnce(database.config, sharer(1, [], { onDead: 'stop' }));
  await expect(ended).rejects.toThrow('c: a dead letter has stopped it (onDead)');
});

test("with onDead: 'stop' a dead letter stops all processes until it is discarded", async () => {
  const seen: Seen[] = [];
  const stopping = (process: number) => {
    const definition = sharer(process, seen, { onDead: 'stop', retry: { attempts: 1 } });
    return {
      ...definition,
      async handle(notification: Notification, context: ConsumerContext) {
        if (notification.payload === 1) throw new Error('no');
        await definition.handle(notification, context);
      },
    };
  };
  const first = await tail(stopping(1));
  await tail(stopping(2));
  await publish(database, 1, { key: 'key:0' });
  await first.transitions.for({ type: 'handler_failed', isDead: true });
  await until('it is dead', async () => {
    const { rowCount } = await database.query(`select from pgwatch.delivery where state = 'dead'`);
    return rowCount === 1;
  });
  await publishRange(database, 2, 40, { keys: 100 });
  // By now each process has looked, and found that it must not continue.
  await first.transitions.for({ type: 'asleep' });
  expect(seen).toEqual([]);
  await database.query('delete from pgwatch.delivery');
  await until('the others are handled', () => seen.length === 39 || `${seen.length}`);
});

test("with onDead: 'stop' later ones of a key follow a retried dead letter", async () => {
  const seen: Seen[] = [];
  let isMended = false;
  const stopping = (process: number) => {
    const definition = sharer(process, seen, { onDead: 'stop', retry: { attempts: 1 } });
    return {
      ...definition,
      async handle(notification: Notification, context: ConsumerContext) {
        if (!isMended && notification.payload === 1) throw new Error('no');
        await definition.handle(notification, context);
      },
    };
  };
  await tail(stopping(1));
  await tail(stopping(2));
  await publish(database, 1, { key: 'key:0' });
  const dead = `select from pgwatch.delivery where state = 'dead'`;
  await until('it is dead', async () => (await database.query(dead)).rowCount === 1);
  await publishRange(database, 2, 41, { keys: 2 });
  isMended = true;
  const client = await database.connect();
  const change = { action: 'retry', filter: NO_FILTER, isDryRun: false } as const;
  for await (const _ of changeDeadLetters(client, 'pgwatch', change));
  await until('all are handled', () => seen.length === 41 || `${seen.length}`);
  const ofKey = seen.filter(({ payload }) => payload === 1 || payload % 2 === 0);
  expect(ofKey.map(({ payload }) => payload)).toEqual([
    1,
    ...Array.from({ length: 20 }, (_, index) => 2 * index + 2),
  ]);
});
