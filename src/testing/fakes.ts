import { randomUUID } from 'node:crypto';
import type { ConsumerContext } from '../consumers/define.ts';
import { PgwatchError } from '../errors.ts';
import type { Notification } from '../log/notification.ts';
import { SILENT } from './silent.ts';

let count = 0;

/**
 * A notification to call a handler with, without a database.
 * @param fields what matters to the test. Defaults: the first attempt at a new notification without
 *   a key, on the channel "test"
 */
export function fakeNotification<Payload>(
  fields: Pick<Notification<Payload>, 'payload'> & Partial<Notification<Payload>>,
): Notification<Payload> {
  count += 1;
  return {
    id: count,
    channel: 'test',
    key: null,
    change: null,
    createdAt: new Date(),
    eventId: randomUUID(),
    isReplay: false,
    attempt: 1,
    ...fields,
  };
}

/**
 * The second argument of a handler, without a database.
 * @param fields what matters to the test. By default db cannot be used, signal does not abort, and
 *   reports go nowhere
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
    ...fields,
  };
}
