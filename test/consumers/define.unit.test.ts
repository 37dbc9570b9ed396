import { expect, test } from 'vitest';
import type { ConsumerContext } from '../../src/consumers/define.ts';
import { defineConsumer } from '../../src/consumers/define.ts';
import type { StandardSchema } from '../../src/consumers/schema.ts';
import type { Notification } from '../../src/log/notification.ts';

const context = {} as ConsumerContext;

// The point of this test is that it compiles.
test('a consumer keeps the function of its definition, so tests can call it', async () => {
  const email = defineConsumer({
    channels: ['users'],
    handle: ({ payload }, { attempt }) => [payload, attempt],
  });
  const notification = { payload: 'hello' } as Notification;
  expect(await email.handle(notification, { ...context, attempt: 2 })).toEqual(['hello', 2]);
  // @ts-expect-error a consumer with handle has no handleBatch
  expect(email.handleBatch).toBeUndefined();
  const batch = defineConsumer({
    channels: ['users'],
    batchSize: 10,
    handleBatch: (notifications) => notifications.length,
  });
  expect(await batch.handleBatch([notification], context)).toBe(1);
  // @ts-expect-error a consumer with handleBatch has no handle
  expect(batch.handle).toBeUndefined();
});

test('the payload has the type of the schema, or the one given', () => {
  const schema = {} as StandardSchema<{ text: string }>;
  const bySchema = defineConsumer({
    channels: ['c'],
    schema,
    handle: ({ payload }) => payload.text,
  });
  const byName = defineConsumer<{ count: number }>({
    channels: ['c'],
    // @ts-expect-error the payload has no such field
    handleBatch: (notifications) => notifications.map(({ payload }) => payload.text),
  });
  expect([bySchema.channels, byName.channels]).toEqual([['c'], ['c']]);
});

test('a consumer has either handle or handleBatch', () => {
  // @ts-expect-error it has neither
  defineConsumer({ channels: ['c'] });
  // @ts-expect-error it has both
  defineConsumer({ channels: ['c'], handle() {}, handleBatch() {} });
  // @ts-expect-error batchSize goes with handleBatch
  defineConsumer({ channels: ['c'], handle() {}, batchSize: 2 });
});
