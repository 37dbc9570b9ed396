import { afterEach, beforeEach, expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import { defineChannels, defineConsumer, type Notification } from '../../src/index.ts';
import {
  fakeContext,
  fakeNotification,
  TestPgwatch,
  type TestPgwatchOn,
} from '../../src/testing.ts';
import { useDatabase } from '../helpers/database.ts';

/** Goal: a test with channels knows their names and payloads, as the code under test does. */

const database = useDatabase();
const channels = defineChannels({
  'orders.created': z.object({ id: z.number(), day: z.coerce.date<string>() }),
  'orders.count': z.number(),
  mails: z.string(),
});
const created = { id: 1, day: '2026-11-30' };
type Created = { id: number; day: Date };

const orders = channels.defineConsumer({
  id: 'orders',
  channels: ['orders.*'],
  handle: (notification) =>
    notification.channel === 'orders.created' ? notification.payload.day : notification.payload,
});

let own: TestPgwatchOn<typeof channels>;

beforeEach(async () => {
  own = await TestPgwatch.open({ url: database.url, channels });
});
afterEach(() => own.close());

test('what a consumer has handled is typed by its channels', async () => {
  const { handled, failed } = await own.drain(orders, [
    { channel: 'orders.created', payload: created },
    { channel: 'orders.count', payload: 2 },
    { channel: 'mails', payload: 'a' },
  ]);
  expectTypeOf(failed[0]?.notification).toEqualTypeOf(handled[0]);
  const [first, second, ...others] = handled;
  if (first?.channel === 'orders.created') {
    expectTypeOf(first.payload).toEqualTypeOf<Created>();
  } else if (first) {
    expectTypeOf(first.payload).toEqualTypeOf<number>();
  }
  expect(first?.payload).toEqual({ id: 1, day: new Date('2026-11-30') });
  expect([second?.payload, others]).toEqual([2, []]);
});

test('what was published is typed by the channel that is asked for', async () => {
  await own.pgwatch.notify('orders.created', created);
  await own.pgwatch.notify('mails', 'a');
  const published = await own.published('orders.created');
  expectTypeOf(published[0]?.payload).toEqualTypeOf<{ id: number; day: string } | undefined>();
  expect(published.map(({ payload }) => payload)).toEqual([created]);
  const all = await own.published();
  expectTypeOf(all[0]?.channel).toEqualTypeOf<
    'orders.created' | 'orders.count' | 'mails' | undefined
  >();
  expect(all.map(({ channel }) => channel)).toEqual(['orders.created', 'mails']);
});

test('what does not fit compiles and runs nowhere', async () => {
  await expect(
    own.drain(orders, [
      // @ts-expect-error it is a number
      { channel: 'orders.count', payload: '2' },
    ]),
  ).rejects.toMatchObject({ code: 'payload_invalid' });
  // @ts-expect-error it is misspelt
  const misspelt = own.pgwatch.notify('orders.creatd', created);
  await expect(misspelt).rejects.toMatchObject({ code: 'channel_invalid' });
  // @ts-expect-error it is misspelt
  await expect(own.published('orders.creatd')).rejects.toThrow('Did you mean "orders.created"?');
});

test('a handler takes a fake notification of one of its channels', () => {
  const count = fakeNotification({ channel: 'orders.count', payload: 3 });
  expect(orders.handle(count, fakeContext())).toBe(3);
  const mail = fakeNotification({ channel: 'mails', payload: 'a' });
  // @ts-expect-error it does not read this channel
  orders.handle(mail, fakeContext());
});

test('without channels, what was handled is typed as the handler has it', async () => {
  await using plain = await TestPgwatch.open({ url: database.url });
  const consumer = defineConsumer<{ to: string }>({ id: 'a', channels: ['mails'], handle() {} });
  const batch = defineConsumer<number>({ id: 'b', channels: ['counts'], handleBatch() {} });
  const mails = await plain.drain(consumer, [{ channel: 'mails', payload: { to: 'a' } }]);
  const counts = await plain.drain(batch, [{ channel: 'counts', payload: 1 }]);
  const any = await plain.drain({ id: 'c', channels: ['mails'], handle() {} });
  expectTypeOf(mails.handled).toEqualTypeOf<Notification<{ to: string }>[]>();
  expectTypeOf(counts.handled).toEqualTypeOf<Notification<number>[]>();
  expectTypeOf(any.handled).toEqualTypeOf<Notification[]>();
  expect([mails.handled[0]?.payload.to, counts.handled[0]?.payload]).toEqual(['a', 1]);
});
