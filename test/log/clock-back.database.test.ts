import { expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';

/*
Goal: a retry recorded while the server's clock was ahead does not wait until the clock gets there
again, nor does its key; a deliberately long wait and new failures do wait.
Method: the times of rows are moved ahead, as the clock would have written them.
*/

const database = useDatabase({ pollInterval: '100ms' });
const { publish, tail, filed, untilFiled } = useDelivering(database);

const ahead = `next_attempt_at = next_attempt_at + interval '1 hour',
  first_failed_at = first_failed_at + interval '1 hour',
  last_failed_at = last_failed_at + interval '1 hour'`;

test.each(['one', 'shared'] as const)(
  'a retry recorded in the future is due, with instances: %s',
  async (instances) => {
    const define = (handle: () => unknown) => ({
      id: 'c',
      channels: ['c'],
      instances,
      retry: { backoff: () => 600_000 },
      handle,
    });
    const fail = () => Promise.reject(new Error('not yet'));
    const first = await tail(define(fail));
    const ids = await publish(['a', 1], ['a', 2], ['b', 3], ['c', 4], ['d', 5], ['e', 6]);
    await untilFiled('retry', 'blocked', 'retry', 'retry', 'retry', 'retry');
    await first.stop();
    // a: with a key that waits; c: unblocked in the future, and never called; d: replayed in the
    // future; b: unchanged; e: replayed now, with an interval to keep.
    await database.query(
      `update pgwatch.delivery set ${ahead} where key = 'a' and state = 'retry'`,
    );
    await database.query(
      `update pgwatch.delivery set attempts = 0, first_failed_at = null, last_failed_at = null,
         replayed_at = case key when 'd' then now() + interval '1 hour' when 'e' then now() end,
         next_attempt_at = now() + interval '1 hour' where key in ('c', 'd', 'e')`,
    );
    await tail(define(() => {}));
    await untilFiled('retry', 'retry');
    expect(await filed()).toMatchObject([
      { id: ids[2], key: 'b', attempts: 1 },
      { id: ids[5], key: 'e', attempts: 0 },
    ]);
  },
);
