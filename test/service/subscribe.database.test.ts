import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Delivery, Pgwatch, SubscribeOptions } from '../../src/index.ts';
import { useDatabase } from '../helpers/database.ts';
import { useService } from '../helpers/service.ts';

/** Goal: deliveries of a loop are calls of a handler, which ack() and nack() settle. */

const database = useDatabase();
beforeAll(() => database.query('create table effect (payload text)'));
afterEach(() => database.query('truncate effect'));

const { open, warned } = useService(database, {
  pollInterval: '50ms',
  heartbeatInterval: '200ms',
});

const ORDERS = { consumer: 'email', channels: ['orders'], retry: { backoff: 10 } };

async function publish(pgwatch: Pgwatch, ...payloads: unknown[]): Promise<void> {
  await pgwatch.notifyMany(
    payloads.map((payload) => ({ channel: 'orders', payload, key: String(payload) })),
  );
}

const write = ({ db, payload }: Delivery<string>) =>
  db.query('insert into effect values ($1)', [payload]);

async function effects(): Promise<unknown[]> {
  const { rows } = await database.query('select payload from effect order by 1');
  return rows.map(({ payload }) => payload);
}

/** The next delivery of a subscription. */
async function nextOf<Item>(subscription: AsyncIterator<Item, void>): Promise<Item> {
  const { done, value } = await subscription.next();
  if (done) throw new Error('The subscription has ended.');
  return value as Item;
}

test('each notification is delivered until it is settled', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a', 'b', 'c');
  const seen: string[] = [];
  const subscription = pgwatch.subscribe<string>({ ...ORDERS, order: 'none' });
  for await (const delivery of subscription) {
    seen.push(`${delivery.payload} ${delivery.attempt}`);
    if (delivery.payload === 'b' && delivery.attempt === 1) await delivery.nack(new Error('no'));
    else await delivery.ack();
    if (seen.length === 4) break;
  }
  expect(seen.toSorted()).toEqual(['a 1', 'b 1', 'b 2', 'c 1']);
});

test('leaving the loop gives back what is open, without an attempt', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a', 'b');
  let left: Delivery<string> | undefined;
  for await (const delivery of pgwatch.subscribe<string>({ ...ORDERS, concurrency: 2 })) {
    left = delivery;
    break;
  }
  await expect(left?.ack()).rejects.toMatchObject({ code: 'delivery_lost' });
  const again: string[] = [];
  for await (const delivery of pgwatch.subscribe<string>(ORDERS)) {
    again.push(`${delivery.payload} ${delivery.attempt}`);
    await delivery.ack();
    if (again.length === 2) break;
  }
  expect(again).toEqual(['a 1', 'b 1']);
  const { rows } = await database.query('select from pgwatch.delivery');
  expect(rows).toEqual([]);
});

describe.each([true, false])('with transaction: %s', (transaction) => {
  test('stop() lets what is open be settled, and delivers nothing more', async () => {
    const pgwatch = open();
    await publish(pgwatch, 'a', 'b');
    const seen: string[] = [];
    const stopping = Promise.withResolvers<Promise<void>>();
    const subscription = pgwatch.subscribe<string>({ ...ORDERS, transaction });
    for await (const delivery of subscription) {
      seen.push(`${delivery.payload} ${delivery.attempt}`);
      stopping.resolve(subscription.stop());
      await delivery.db.query('select pg_sleep(0.1)');
      await delivery.ack();
    }
    await stopping.promise;
    await expect(subscription.caughtUp()).rejects.toMatchObject({ code: 'closed' });
    for await (const delivery of pgwatch.subscribe<string>(ORDERS)) {
      seen.push(`${delivery.payload} ${delivery.attempt}`);
      break;
    }
    expect(seen).toEqual(['a 1', 'b 1']);
  });
});

test('what is not settled within shutdownTimeout is given back, without an attempt', async () => {
  const pgwatch = open({ shutdownTimeout: '100ms' });
  await publish(pgwatch, 'a');
  const first = await nextOf(pgwatch.subscribe<string>(ORDERS));
  await pgwatch.close();
  await expect(first.ack()).rejects.toMatchObject({ code: 'delivery_lost' });
  expect([first.isOpen, first.signal.aborted]).toEqual([false, true]);
  const again = await nextOf(open().subscribe<string>(ORDERS));
  expect([again.payload, again.attempt, again.isOpen]).toEqual(['a', 1, true]);
  await again.ack();
  expect(again.isOpen).toBe(false);
});

test('as many are out at once as the concurrency, and one of each key', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a', 'a', 'b', 'c');
  const subscription = pgwatch.subscribe<string>({ ...ORDERS, concurrency: 2 });
  const first = await nextOf(subscription);
  const second = await nextOf(subscription);
  expect([first.payload, second.payload]).toEqual(['a', 'b']);
  const third = nextOf(subscription);
  await second.ack();
  expect((await third).payload).toBe('c');
  await first.ack();
  const last = await nextOf(subscription);
  expect(last.payload).toBe('a');
  await Promise.all([(await third).ack(), last.ack()]);
  await subscription.caughtUp();
  await subscription.stop();
  expect(await subscription.next()).toEqual({ done: true, value: undefined });
});

test('what is not settled in time has failed, unless it is given more', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a');
  const subscription = pgwatch.subscribe<string>({ ...ORDERS, timeout: '100ms' });
  const first = await nextOf(subscription);
  first.extend('10s');
  const late = await Promise.race([
    nextOf(subscription),
    new Promise((resolve) => setTimeout(resolve, 400, 'none')),
  ]);
  expect(late).toBe('none');
  await first.ack();
  await publish(pgwatch, 'b');
  await subscription.return();
  const other = pgwatch.subscribe<string>({ ...ORDERS, timeout: '100ms' });
  const second = await nextOf(other);
  expect([second.payload, second.attempt]).toEqual(['b', 1]);
  const again = await nextOf(other);
  expect([again.payload, again.attempt]).toEqual(['b', 2]);
  await expect(second.ack()).rejects.toMatchObject({
    code: 'delivery_lost',
    message: expect.stringContaining('did not return within 100 ms'),
  });
  await again.ack();
});

test('nobody waits for a delivery that no step has asked for', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a', 'b');
  const subscription = pgwatch.subscribe<string>({ ...ORDERS, timeout: '100ms' });
  const first = await nextOf(subscription);
  await first.ack();
  // Longer than the timeout, and than a call takes to count as slow.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const second = await nextOf(subscription);
  expect([second.payload, second.attempt]).toEqual(['b', 1]);
  await second.ack();
  await subscription.caughtUp();
  expect(warned()).toEqual([]);
});

test('a dead letter says what the error said, and where it came from', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a');
  const subscription = pgwatch.subscribe<string>(ORDERS);
  const cause = new Error('404');
  const error = Object.assign(new RangeError('no such customer', { cause }), { code: 'E404' });
  await (await nextOf(subscription)).nack(error, { dead: true });
  await subscription.caughtUp();
  const { rows } = await database.query('select last_error as error from pgwatch.delivery');
  expect(rows[0].error).toMatchObject({ message: 'no such customer (404)', code: 'E404' });
  expect(rows[0].error.stack).toMatch(/^RangeError: no such customer\n +at .*subscribe\.database/);
});

test('dead letters, and waits that it asks for', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a', 'b');
  const subscription = pgwatch.subscribe<string>(ORDERS);
  await (await nextOf(subscription)).nack('never', { dead: true });
  await (await nextOf(subscription)).nack(undefined, { retryAfter: 20 });
  const again = await nextOf(subscription);
  expect([again.payload, again.attempt]).toEqual(['b', 1]);
  for (const options of [{ retryAfter: 'soon' }, { dead: 1 }, { retyAfter: 1 }]) {
    await expect(again.nack(undefined, options as never)).rejects.toMatchObject({
      code: 'input_invalid',
    });
  }
  expect(() => again.extend('long' as never)).toThrow('extend() takes a duration like');
  await again.ack();
  await expect(again.ack()).rejects.toMatchObject({ code: 'delivery_settled' });
  await expect(again.nack()).rejects.toMatchObject({ code: 'delivery_settled' });
  await subscription.caughtUp();
  const { rows } = await database.query(
    `select state, last_error ->> 'message' as error from pgwatch.delivery`,
  );
  expect(rows).toEqual([{ state: 'dead', error: 'never' }]);
});

test('batches: each delivery is settled on its own', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a', 'b', 'c');
  const subscription = pgwatch.subscribe<string>({ ...ORDERS, batch: 10 });
  const batch = await nextOf(subscription);
  expect(batch.map(({ payload }) => payload)).toEqual(['a', 'b', 'c']);
  await Promise.all(batch.map((each) => (each.payload === 'b' ? each.nack() : each.ack())));
  const [again] = await nextOf(subscription);
  expect([again?.payload, again?.attempt]).toEqual(['b', 2]);
  await again?.ack();
});

test('transaction: what it writes commits with the position, or not at all', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a', 'b');
  const subscription = pgwatch.subscribe<string>({ ...ORDERS, transaction: true });
  const first = await nextOf(subscription);
  await write(first);
  await first.nack();
  const second = await nextOf(subscription);
  await write(second);
  await second.ack();
  const again = await nextOf(subscription);
  await write(again);
  await again.ack();
  await subscription.caughtUp();
  expect(await effects()).toEqual(['a', 'b']);
});

test('transaction: leaving the loop undoes what was written', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a');
  const subscribe = () => pgwatch.subscribe<string>({ ...ORDERS, transaction: true });
  const leaving = (async () => {
    for await (const delivery of subscribe()) {
      await write(delivery);
      throw new Error('the loop has failed');
    }
  })();
  await expect(leaving).rejects.toThrow('the loop has failed');
  const again = await nextOf(subscribe());
  expect([again.payload, again.attempt, await effects()]).toEqual(['a', 1, []]);
  await again.ack();
});

test('transaction: if one of a batch fails, it is undone, and delivered one by one', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a', 'b', 'c');
  const subscription = pgwatch.subscribe<string>({ ...ORDERS, transaction: true, batch: 10 });
  const batch = await nextOf(subscription);
  for (const delivery of batch) await write(delivery);
  await Promise.all(batch.map((each) => (each.payload === 'b' ? each.nack() : each.ack())));
  const alone: string[] = [];
  while (alone.length < 3) {
    const [delivery, ...others] = await nextOf(subscription);
    expect([delivery?.attempt, others]).toEqual([1, []]);
    alone.push(delivery?.payload ?? '');
    if (delivery) await write(delivery);
    await delivery?.ack();
  }
  await subscription.caughtUp();
  expect(alone).toEqual(['a', 'b', 'c']);
  expect(await effects()).toEqual(['a', 'b', 'c']);
});

test('after a takeover, open deliveries cannot be settled, and the loop goes on', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a');
  const subscription = pgwatch.subscribe<string>({ ...ORDERS, concurrency: 2 });
  const delivery = await nextOf(subscription);
  await database.query('update pgwatch.consumer_progress set epoch = epoch + 1, owner = null');
  await pgwatch.notify('orders', 'b', { key: 'b' });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const look = async () => {
    try {
      delivery.extend();
      setTimeout(look, 20);
    } catch (thrown) {
      resolve(thrown);
    }
  };
  await look();
  expect(await promise).toMatchObject({ code: 'delivery_lost' });
  await expect(delivery.ack()).rejects.toMatchObject({
    message: expect.stringContaining('this process has lost the consumer'),
  });
  // One that was never handed out is lost, too.
  for (const payload of ['a', 'b']) {
    const again = await nextOf(subscription);
    expect([again.payload, again.attempt]).toEqual([payload, 1]);
    await again.ack();
  }
  await subscription.caughtUp();
});

test('a query that outlasts the timeout of its delivery is cut off', async () => {
  const pgwatch = open();
  await publish(pgwatch, 'a');
  const subscription = pgwatch.subscribe<string>({ ...ORDERS, timeout: '100ms' });
  const { db } = await nextOf(subscription);
  await expect(db.query('select pg_sleep(3600)')).rejects.toThrow();
  await expect(db.query('select 1')).rejects.toThrow('its context.db is closed');
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and query like '%pg_sleep(3600)'`,
  );
  const again = await nextOf(subscription);
  await again.db.query('select 1');
  await again.ack();
});

describe('bad input', () => {
  test.each<[string, object, string]>([
    ['no consumer', { channels: ['a'] }, 'needs the option consumer'],
    ['a misspelt option', { ...ORDERS, concurency: 2 }, 'Did you mean "concurrency"?'],
    ['no channels', { consumer: 'email' }, 'channels must be a list'],
    ['a wrong batch', { ...ORDERS, batch: 0 }, 'batchSize must be'],
    ['a wrong signal', { ...ORDERS, signal: 3 }, 'signal must be an AbortSignal'],
  ])('%s', (_, options, reason) => {
    expect(() => open().subscribe(options as SubscribeOptions & { batch?: never })).toThrow(reason);
  });

  test('a consumer that runs here already', async () => {
    const pgwatch = open();
    const first = pgwatch.subscribe(ORDERS);
    const waiting = first.next();
    await first.caughtUp();
    await expect(pgwatch.subscribe(ORDERS).next()).rejects.toMatchObject({
      code: 'consumer_running',
    });
    await first.stop();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });
});
