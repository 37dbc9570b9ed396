import { randomUUID } from 'node:crypto';
import type { ConsumerContext } from '../consumers/define.ts';
import { PgwatchError } from '../errors.ts';
import type { Notification } from '../log/notification.ts';
import { onlyKnown } from '../suggest.ts';
import { SILENT } from './silent.ts';

let count = 0;
const FAKE = 'fakeNotification()';
const CONTEXT = ['consumerId', 'attempt', 'signal', 'reporter', 'db'];

/**
 * A notification to call a handler with, without a database.
 * @param fields what matters to the test. Defaults: the first attempt at a new notification without
 *   a key, on the channel "test"
 * @throws PgwatchError input_invalid if there is no such field
 */
export function fakeNotification<Payload, const Channel extends string>(
  fields: Fields<Payload> & { channel: Channel },
): Notification<Payload> & { readonly channel: Channel };
export function fakeNotification<Payload>(fields: Fields<Payload>): Notification<Payload>;
export function fakeNotification<Payload>(fields: Fields<Payload>): Notification<Payload> {
  count += 1;
  const others = {
    id: count,
    channel: 'test',
    key: null,
    change: null,
    createdAt: new Date(),
    eventId: randomUUID(),
    isReplay: false,
    attempt: 1,
  };
  return { ...others, ...onlyKnown(fields, ['payload', ...Object.keys(others)], FAKE) };
}

type Fields<Payload> = Pick<Notification<Payload>, 'payload'> & Partial<Notification<Payload>>;

/**
 * The second argument of a handler, without a database.
 * @param fields what matters to the test. By default db cannot be used, signal does not abort, and
 *   reports go nowhere
 * @throws PgwatchError input_invalid if there is no such field
 */
export function fakeContext(fields: Partial<ConsumerContext> = {}): ConsumerContext {
  return {
    consumerId: 'test',
    attempt: 1,
    signal: new AbortController().signal,
    reporter: SILENT,
    get db(): never {
      throw new PgwatchError(
        'input_invalid',
        'This context has no db: pass one to fakeContext(), or use drain() and a database.',
      );
    },
    ...onlyKnown(fields, CONTEXT, 'fakeContext()'),
  };
}
