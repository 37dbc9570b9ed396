import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  createPgwatch,
  type EveryProcessOptions,
  type Gap,
  type Notification,
  type Pgwatch,
  type ProcessSubscription,
} from '../../src/index.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { useDatabase } from '../helpers/database.ts';
import { startProxy } from '../helpers/proxy.ts';
import { createRole } from '../helpers/role.ts';
import { useService } from '../helpers/service.ts';
import { until } from '../helpers/wait.ts';

/** Goal: each process receives every notification once, whatever happens to its connections. */

const database = useDatabase();
const { open, opened, told, warned } = useService(database, {
  pollInterval: '1h',
  reconnectDelay: 10,
});

afterEach(() => void vi.useRealTimers());

const EVERY = { channels: ['prices', 'rates.*'], every: 'process' } as const;

/** Collects payloads until the subscription ends. */
function collect(subscription: ProcessSubscription) {
  const payloads: unknown[] = [];
  const done = (async () => {
    for await (const { payload } of subscription) payloads.push(payload);
  })();
  done.catch(() => {});
  return { payloads, done };
}

async function begun(pgwatch: Pgwatch, options: Partial<EveryProcessOptions> = {}) {
  const subscription = pgwatch.subscribe({ ...EVERY, ...options });
  await subscription.ready();
  return { subscription, ...collect(subscription) };
}

const publish = (...payloads: unknown[]) =>
  database.query(
    `select smart_notify('prices', payload) from jsonb_array_elements($1::jsonb) as payload`,
    [JSON.stringify(payloads)],
  );

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Ends all connections of pgwatch but those of this test. */
const cut = () =>
  database.query(`select pg_terminate_backend(pid, 10000) from pg_stat_activity
    where datname = current_database() and application_name in ('pgwatch', 'pgwatch control')
      and pid <> pg_backend_pid()`);

test('each receives everything that is committed after ready(), and leaves no row', async () => {
  await publish('before');
  const both = [await begun(open()), await begun(open())];
  await publish(1, 2);
  await database.query(`select smart_notify('rates.eur', '3'), smart_notify('other', '4')`);
  await until('both have it all', () => both.every(({ payloads }) => payloads.length === 3));
  expect(both.map(({ payloads }) => payloads)).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ]);
  const { rows } = await database.query(`
    select consumer_id from pgwatch.consumer_progress
    union all select daemon_id::text from pgwatch.daemon`);
  expect(rows).toEqual([]);
});

test('a role that may only read is enough', async () => {
  const role = await createRole(database, 'reader');
  const owner = createPgwatch({ url: database.url, roles: { read: [role.name] } });
  onTestFinished(() => owner.close());
  await owner.migrate();
  const { payloads, subscription } = await begun(open({ url: role.url }));
  await publish(1);
  await until('it is there', () => payloads.length === 1);
  await subscription.stop();
  expect(warned()).toEqual([]);
});

test('what commits late comes, too: nothing depends on the order of ids', async () => {
  const { payloads } = await begun(open());
  const late = await database.connect();
  await late.query(`begin; select smart_notify('prices', '"late"')`);
  await publish('early');
  await until('the early one is there', () => payloads.length === 1);
  await late.query('commit');
  await until('the late one is there', () => payloads.length === 2);
  expect(payloads).toEqual(['early', 'late']);
});

test('it begins where it is told', async () => {
  await publish(1, 2, 3);
  const { rows } = await database.query('select id::int from pgwatch.notification_log order by id');
  const fromStart = await begun(open(), { from: 'start' });
  const fromSecond = await begun(open(), { from: (rows[1] as { id: number }).id });
  await until('all is there', () => fromStart.payloads.length + fromSecond.payloads.length === 5);
  expect(fromStart.payloads).toEqual([1, 2, 3]);
  expect(fromSecond.payloads).toEqual([2, 3]);
});

test('connections that are cut again and again cost nothing', async () => {
  const { payloads } = await begun(open());
  for (let n = 1; n <= 100; n += 1) {
    await publish(n);
    if (n % 10 === 5) await cut();
  }
  await until('all is there', () => payloads.length >= 100);
  expect(payloads).toEqual(numbers(1, 100));
  expect(told.join()).toContain('Trying again');
});

test('a loop that is slow loses nothing, and holds only a part in memory', async () => {
  const subscription = open().subscribe<number>(EVERY);
  await subscription.ready();
  const first = subscription.next();
  await publish(...numbers(1, 3000));
  const payloads = [await first.then((result) => (result.value as Notification).payload)];
  await publish(...numbers(3001, 6000));
  await cut();
  for await (const { payload } of subscription) {
    payloads.push(payload);
    if (payloads.length === 6000) break;
  }
  expect(payloads).toEqual(numbers(1, 6000));
});

describe('leaving', () => {
  const connections = async () => {
    const { rows } = await database.query(`select from pg_stat_activity
      where datname = current_database() and application_name = 'pgwatch control'`);
    return rows.length;
  };
  const ways: [string, (subscription: ProcessSubscription, stop: () => void) => unknown][] = [
    [
      'the loop',
      async (subscription) => {
        for await (const _ of subscription) break;
      },
    ],
    [
      'by an exception',
      async (subscription) => {
        await expect(
          (async () => {
            for await (const { payload } of subscription) throw new Error(`${payload}`);
          })(),
        ).rejects.toThrow('1');
      },
    ],
    ['by its signal', (_, stop) => stop()],
    ['by stop()', (subscription) => subscription.stop()],
    ['by close()', () => Promise.all(opened.map((pgwatch) => pgwatch.close()))],
  ];
  test.each(ways)('%s closes its connections', async (_, leave) => {
    const controller = new AbortController();
    const subscription = open().subscribe({ ...EVERY, signal: controller.signal });
    await subscription.ready();
    expect(await connections()).toBe(1);
    await publish(1);
    await leave(subscription, () => controller.abort());
    await until('they are closed', async () => (await connections()) === 0);
    expect(await subscription.next()).toMatchObject({ done: true });
  });
});

describe('what cleanup has removed before it got there', () => {
  /** Removes everything while a subscription is cut off for two days. */
  async function missed(options: Partial<EveryProcessOptions>) {
    const proxy = await startProxy(database.url);
    const { payloads, done } = await begun(open({ url: proxy.url }), options);
    await publish('seen');
    await until('the first is there', () => payloads.length === 1);
    await proxy.close();
    await publish('missed', 'missed');
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 86_400_000 });
    await database.query('delete from pgwatch.notification_log');
    return {
      payloads,
      done,
      reopen: () => startProxy(database.url, Number(new URL(proxy.url).port)),
    };
  }

  test('is told as a gap, and it goes on', async () => {
    const gaps: Gap[] = [];
    const { payloads, reopen } = await missed({ onGap: (gap) => void gaps.push(gap) });
    await publish('after');
    onTestFinished((await reopen()).close);
    await until('it goes on', () => payloads.length === 2);
    expect(payloads).toEqual(['seen', 'after']);
    expect(gaps).toMatchObject([{ count: 2, lastId: (gaps[0]?.firstId as number) + 1 }]);
  });

  test('is a gap even if nothing is left, and reported by default', async () => {
    const { reopen } = await missed({});
    onTestFinished((await reopen()).close);
    await until('it is told', () => told.some((each) => each.includes('A gap in')));
    expect(told.join()).toMatch(
      /the subscription to prices, rates\.\*: it will never receive up to 2/,
    );
  });

  test('is told once, however late the next notification comes', async () => {
    const gaps: Gap[] = [];
    const { payloads, reopen } = await missed({ onGap: (gap) => void gaps.push(gap) });
    onTestFinished((await reopen()).close);
    await until('it is told', () => gaps.length === 1);
    vi.setSystemTime(Date.now() + 600_000);
    await publish('after');
    await until('it goes on', () => payloads.length === 2);
    expect(gaps).toHaveLength(1);
  });

  test('ends the loop if onGap throws', async () => {
    const onGap = () => {
      throw new Error('cannot go on');
    };
    const { done, reopen } = await missed({ onGap });
    onTestFinished((await reopen()).close);
    await expect(done).rejects.toThrow('cannot go on');
  });
});

test('a cleaned log is no gap for whoever begins later', async () => {
  await publish(1, 2, 3);
  await database.query('delete from pgwatch.notification_log');
  const gaps: Gap[] = [];
  const onGap = (gap: Gap) => void gaps.push(gap);
  const both = [await begun(open(), { onGap }), await begun(open(), { onGap, from: 'start' })];
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 600_000 });
  await publish(4);
  await until('both have it', () => both.every(({ payloads }) => payloads.length === 1));
  await cut();
  await publish(5);
  await until('both go on', () => both.every(({ payloads }) => payloads.length === 2));
  expect(gaps).toEqual([]);
});

test('a database without the tables fails the first step', async () => {
  const empty = await createEmptyDatabase();
  const subscription = open({ url: empty.url }).subscribe(EVERY);
  await expect(subscription.ready()).rejects.toMatchObject({ code: 'schema_missing' });
  await expect(subscription.next()).rejects.toMatchObject({ code: 'schema_missing' });
});

test.each([
  [{ ...EVERY, consumer: 'x' }, /it has no consumer, because its position is not in the database/],
  [{ ...EVERY, every: 'proces' }, /every must be 'process', not 'proces'/],
  [
    { ...EVERY, chanels: ['x'] },
    /^chanels is not an option of .*every.* Did you mean "channels"\?/,
  ],
  [{ ...EVERY, channels: [] }, /channels must be a list of at least one channel/],
  [{ ...EVERY, from: 'yesterday' }, /from must be 'start', 'now', a notification's id, or a time/],
  [{ ...EVERY, onGap: 'x' }, /onGap must be a function/],
])('%j is refused', (options, message) => {
  const refused = () => open().subscribe(options as unknown as EveryProcessOptions);
  expect(refused).toThrow(
    expect.objectContaining({ code: 'consumer_invalid', message: expect.stringMatching(message) }),
  );
});
