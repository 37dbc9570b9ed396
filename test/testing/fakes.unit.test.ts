import { expect, expectTypeOf, test } from 'vitest';
import type { Notification } from '../../src/index.ts';
import { fakeContext, fakeNotification } from '../../src/testing.ts';

/** Goal: what a test fakes has the type that its handler takes, and a mistake in it is told. */

test('a fake notification has everything that a notification has', () => {
  const notification = fakeNotification({ payload: 1, key: 'a' });
  expectTypeOf(notification).toEqualTypeOf<Notification<number>>();
  expect(notification).toEqual({
    id: expect.any(Number),
    eventId: expect.stringMatching(/^[\da-f-]{36}$/),
    channel: 'test',
    key: 'a',
    payload: 1,
    change: null,
    createdAt: expect.any(Date),
    isReplay: false,
    attempt: 1,
  });
  const channel = fakeNotification({ channel: 'orders', payload: ['a'] });
  expectTypeOf(channel).toEqualTypeOf<Notification<string[]> & { readonly channel: 'orders' }>();
});

test.each([
  [
    // @ts-expect-error it is misspelt
    () => fakeNotification({ payload: 1, keyy: 'a' }),
    'keyy is not an option of fakeNotification(). Did you mean "key"?',
  ],
  [
    // @ts-expect-error it is misspelt
    () => fakeContext({ sinal: new AbortController().signal }),
    'sinal is not an option of fakeContext(). Did you mean "signal"?',
  ],
])('what fakes do not have is refused', (fake, message) => {
  expect(fake).toThrow(
    expect.objectContaining({ code: 'input_invalid', message: expect.stringContaining(message) }),
  );
});
