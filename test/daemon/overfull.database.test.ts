import { expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';
import { wholeTest } from '../helpers/whole.ts';

const database = useDatabase({ pollInterval: '100ms' });
const { tail, publish, untilFiled } = useDelivering(database);

test.each(['one', 'shared'] as const)(
  'from the start, nothing new is called while too many wait for a retry: instances %s',
  async (instances) => {
    await database.query(
      `insert into pgwatch.delivery
         (consumer_id, notification_id, state, next_attempt_at, attempts, last_failed_at)
       select 'c', nextval('pgwatch.notification_log_id_seq'), 'retry',
         now() + interval '1 hour', 1, now()
       from generate_series(1, 10001)`,
    );
    await publish([null, 1]);
    let callCount = 0;
    const daemon = await tail(
      { id: 'c', channels: ['c'], instances, handle: () => (callCount += 1) },
      { id: 'other', channels: ['other'], handle: () => {} },
    );
    await until('it says so', () =>
      daemon.reports.join('').includes('more than 10,000 notifications waiting for a retry'),
    );
    await daemon.transitions.for({ type: 'asleep' });
    expect(callCount).toBe(0);
    await database.query('delete from pgwatch.delivery');
    await untilFiled();
    await until('it goes on', () => callCount === 1);
  },
);

wholeTest(
  'a notification that failed once and is done no longer counts as waiting for a retry',
  async () => {
    let doneCount = 0;
    const daemon = await tail({
      id: 'c',
      channels: ['c'],
      concurrency: 50,
      retry: { backoff: () => 1 },
      async handle({ attempt }) {
        if (attempt === 1) throw new Error('not yet');
        doneCount += 1;
      },
    });
    for (let round = 1; round <= 11; round++) {
      await publish(...Array.from({ length: 1000 }, (_, n): [null, number] => [null, n]));
      await until('they are through', () => doneCount === round * 1000 || `${doneCount}`);
    }
    expect(daemon.reports.filter((text) => text.includes('waiting for a retry'))).toEqual([]);
  },
  60_000,
);
