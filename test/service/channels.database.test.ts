import { afterEach, describe, expect, expectTypeOf, test } from 'vitest';
import {
  type ChannelSchemas,
  createPgwatch,
  defineChannels,
  type Notification,
  PgwatchError,
  type StandardSchema,
} from '../../src/index.ts';
import { SILENT } from '../../src/testing/silent.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';

/** Goal: with defineChannels(), a misspelt channel or a payload that does not fit goes nowhere. */

const database = useDatabase();
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((pgwatch) => pgwatch.close()));
  await emptyLog(database);
});

type Order = { id: number; item: string };

/** Accepts an order, and returns it with its day as a Date. */
const ORDER: StandardSchema<Order & { day: Date }, Order & { day: string }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate(value) {
      const { id, item, day } = (value ?? {}) as Record<string, unknown>;
      if (typeof id !== 'number') return { issues: [{ message: 'no number', path: ['id'] }] };
      return { value: { id, item: String(item), day: new Date(String(day)) } };
    },
  },
};
const NUMBER: StandardSchema<number, number> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: async (value) =>
      typeof value === 'number' ? { value } : { issues: [{ message: 'not a number' }] },
  },
};

const channels = defineChannels({
  'orders.created': ORDER,
  'orders.count': NUMBER,
  anything: null,
});

const lamp = { id: 1, item: 'lamp', day: '2026-11-30' };

function open() {
  const options = { url: database.url, pollInterval: '50ms', reporter: SILENT };
  const pgwatch = createPgwatch({ ...options, channels });
  opened.push(pgwatch);
  return pgwatch;
}

const logged = async () =>
  (await database.query('select channel, payload from pgwatch.notification_log order by id')).rows;

test('what is published is checked, and is stored as it was given', async () => {
  const pgwatch = open();
  await pgwatch.notify('orders.created', lamp);
  await pgwatch.notifyMany([
    { channel: 'orders.count', payload: 1 },
    { channel: 'anything', payload: ['x'] },
  ]);
  await channels.notify(database.pool, 'orders.count', 2);
  expect(await logged()).toEqual([
    { channel: 'orders.created', payload: lamp },
    { channel: 'orders.count', payload: 1 },
    { channel: 'anything', payload: ['x'] },
    { channel: 'orders.count', payload: 2 },
  ]);
});

describe('what does not fit is refused, by the compiler and when it runs', () => {
  const cases: [string, () => Promise<unknown>, string, string][] = [
    [
      'a payload',
      // @ts-expect-error id is a number
      () => open().notify('orders.created', { ...lamp, id: '1' }),
      'payload_invalid',
      'orders.created: the payload does not match the schema: id: no number.',
    ],
    [
      'one of many',
      () =>
        open().notifyMany([
          { channel: 'orders.count', payload: 1 },
          // @ts-expect-error it is a number
          { channel: 'orders.count', payload: '2' },
        ]),
      'payload_invalid',
      'orders.count: the payload does not match the schema: not a number.',
    ],
    [
      'a channel',
      // @ts-expect-error it is misspelt
      () => channels.notify(database.pool, 'orders.creatd', lamp),
      'channel_invalid',
      '\'orders.creatd\' is not one of the channels. Did you mean "orders.created"? ' +
        'They are: orders.created, orders.count, anything.',
    ],
    [
      'a channel that is read',
      // @ts-expect-error it is misspelt
      async () => channels.defineConsumer({ channels: ['order.count'], handle() {} }),
      'consumer_invalid',
      '\'order.count\' is not one of the channels. Did you mean "orders.count"? ' +
        'They are: orders.created, orders.count, anything.',
    ],
    [
      'a channel that is subscribed to',
      // @ts-expect-error it is misspelt
      async () => open().subscribe({ consumer: 'c', channels: ['order.count'] }),
      'consumer_invalid',
      '\'order.count\' is not one of the channels. Did you mean "orders.count"? ' +
        'They are: orders.created, orders.count, anything.',
    ],
  ];
  test.each(cases)('%s', async (_, act, code, message) => {
    const thrown = await act().then(
      () => {},
      (error: unknown) => error,
    );
    expect(thrown).toBeInstanceOf(PgwatchError);
    expect(thrown).toMatchObject({ code, message });
    expect(await logged()).toEqual([]);
  });

  test.each([
    [{ 'a.*': null }, /'a\.\*' is not a name of 1 to 63 bytes without "\*"\.$/],
    [{ a: {} }, /a must have a Standard Schema, such as one of Zod, .* or null for any payload\.$/],
    [null, /defineChannels\(\) takes an object of channels and schemas, not null\.$/],
  ])('the channels %j', (schemas, message) => {
    expect(() => defineChannels(schemas as unknown as ChannelSchemas)).toThrow(
      expect.objectContaining({ code: 'input_invalid', message: expect.stringMatching(message) }),
    );
  });
});

test('what is received has the type and the value that the schema returns', async () => {
  const pgwatch = open();
  const days: number[] = [];
  const others: unknown[] = [];
  const consumer = channels.defineConsumer({
    id: 'days',
    channels: ['orders.*', 'anything'],
    retry: { attempts: 1 },
    handle(notification) {
      if (notification.channel === 'orders.created') {
        expectTypeOf(notification.payload).toEqualTypeOf<Order & { day: Date }>();
        days.push(notification.payload.day.getTime());
      } else if (notification.channel === 'orders.count') {
        expectTypeOf(notification.payload).toEqualTypeOf<number>();
        others.push(notification.payload);
      } else {
        expectTypeOf(notification).toExtend<Notification<unknown>>();
        others.push(notification.payload);
      }
    },
  });
  await pgwatch.notify('orders.created', lamp);
  await pgwatch.notify('anything', null);
  await database.query(
    `select smart_notify('orders.count', '"three"'), smart_notify('orders.x', '1')`,
  );
  const listening = await pgwatch.listen([consumer], { once: true });
  await expect(listening.done).rejects.toMatchObject({ code: 'handler_failed' });
  expect(days).toEqual([Date.UTC(2026, 10, 30)]);
  expect(others).toEqual([null, 1]);
  const dead = await pgwatch.deadLetters.list();
  expect(dead.map(({ lastError }) => lastError?.message)).toEqual([
    'the payload does not match the schema: not a number',
  ]);
  // A consumer can be called in a test, with any object that looks like a notification.
  consumer.handle(
    {
      id: 1,
      eventId: '',
      channel: 'orders.count',
      key: null,
      payload: 4,
      change: null,
      createdAt: new Date(),
      isReplay: false,
      attempt: 1,
    },
    {} as never,
  );
  expect(others).toEqual([null, 1, 4]);
});

test('a subscription delivers what the schema returns', async () => {
  const pgwatch = open();
  await pgwatch.notify('orders.created', lamp);
  const options = { consumer: 'c', channels: ['orders.created'] } as const;
  for await (const delivery of pgwatch.subscribe(options)) {
    expectTypeOf(delivery.payload).toEqualTypeOf<Order & { day: Date }>();
    expect(delivery.payload.day).toEqual(new Date('2026-11-30'));
    await delivery.ack();
    break;
  }
  const everywhere = pgwatch.subscribe({ channels: ['orders.*'], every: 'process', from: 'start' });
  for await (const notification of everywhere) {
    if (notification.channel !== 'orders.created') continue;
    expectTypeOf(notification.payload).toEqualTypeOf<Order & { day: string }>();
    expect(notification.payload).toEqual(lamp);
    break;
  }
});
