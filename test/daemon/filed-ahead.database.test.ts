import { expect, test } from 'vitest';
import { fileReplay } from '../../src/log/by-hand/replay-file.ts';
import type { Notification } from '../../src/log/notification.ts';
import { changeDead } from '../helpers/change-dead.ts';
import { collecting, startDaemon } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { publish as publishOne, publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

/*
An owner that runs calls concurrently records failures while an earlier notification still holds the
position. If it dies then, earlier notifications of the same key come again, and have to come first,
whatever else holds back new notifications.
*/

const database = useDatabase({ maxBatchSize: 5 });
const { tail, keep, publish, untilFiled } = useDelivering(database);

/**
 * The state that a dead owner leaves: nothing settled, and these recorded, due long ago.
 * @param doneId if it is above the others, they count as late commits
 */
async function leave(filed: readonly number[], doneId = 0): Promise<void> {
  await database.query(
    `insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot)
     values ('c', '{c}', $1, '1:1:')`,
    [doneId],
  );
  await database.query(
    `insert into pgwatch.delivery
       (consumer_id, notification_id, state, key, attempts, next_attempt_at)
     select 'c', id, 'retry', key, 3, now() - interval '1 hour'
     from pgwatch.notification_log where id = any($1)`,
    [filed],
  );
}

test.each<[string, object]>([
  ['', { concurrency: 1 }],
  ['', { concurrency: 4 }],
  ['', { instances: 'shared', concurrency: 4 }],
  [', also of late commits', { concurrency: 4 }],
])(
  'a failure ahead of the position waits for earlier notifications of its key%s: %j',
  async (late, options) => {
    const others = (count: number) =>
      Array.from({ length: count }, (_, i): [string, string] => [`o${i}`, 'other']);
    const ids = await publish(
      ['slow', 'slow'],
      ['k', 'v1'],
      ...others(12),
      ['k', 'v2'],
      ...others(12),
      ['k', 'v3'],
    );
    await leave([ids[14] as number], late === '' ? 0 : ids.at(-1));
    const seen: [unknown, number][] = [];
    await tail({
      id: 'c',
      channels: ['c'],
      ...options,
      async handle({ key, payload, attempt }: Notification) {
        if (payload === 'slow') await new Promise((resolve) => setTimeout(resolve, 300));
        if (key === 'k') seen.push([payload, attempt]);
      },
    });
    await until('all of the key are handled', () => seen.length >= 3 || JSON.stringify(seen));
    expect(seen).toEqual([
      ['v1', 1],
      ['v2', 4],
      ['v3', 1],
    ]);
    await untilFiled();
  },
);

test.each([{}, { instances: 'shared' as const }])(
  'a failure ahead waits although its channel is not read any more: %j',
  async (options) => {
    const on = (channel: string, payload: string) =>
      publishOne(database, payload, { channel, key: 'k' });
    await on('c', 'v1');
    const failed = await on('gone', 'v2');
    await on('gone', 'not for it');
    await on('c', 'v3');
    await leave([failed]);
    const { seen, definition } = collecting({ concurrency: 4, ...options });
    await tail(definition);
    await until('all are handled', () => seen.length >= 3 || `${seen}`);
    await untilFiled();
    expect(seen).toEqual(['v1', 'v2', 'v3']);
  },
);

test.each([{}, { instances: 'shared' as const }])(
  'with skipPlayback what comes before a failure ahead is skipped, too: %j',
  async (options) => {
    const ids = await publish(['slow', 'slow'], ['f', 'fails'], ['new', 'new']);
    await leave([ids[1] as number]);
    const { seen, definition } = collecting(options);
    const daemon = keep(startDaemon(database.config, [definition], { skipPlayback: true }));
    await until('it has skipped', () => daemon.reports.join('').includes('skips everything'));
    await publish(['later', 'later']);
    await until('the later one is handled', () => seen.includes('later'));
    await untilFiled();
    expect(seen.toSorted()).toEqual(['fails', 'later']);
  },
);

test('a dead letter ahead of the position that is retried waits, too', async () => {
  const ids = await publish(['slow', 'slow'], ['k', 'v1'], ['k', 'v2']);
  await leave([ids[2] as number]);
  await database.query(`update pgwatch.delivery set state = 'dead', next_attempt_at = null`);
  const seen: unknown[] = [];
  await tail({
    id: 'c',
    channels: ['c'],
    concurrency: 4,
    async handle({ key, payload }: Notification) {
      if (payload === 'slow') await retry();
      if (payload === 'v1') await until('the other is due', () => isRetried);
      if (key === 'k') seen.push(payload);
    },
  });
  let isRetried = false;
  const retry = async () => {
    const client = await database.connect();
    await changeDead(client, 'retry');
    isRetried = true;
  };
  await until('both are handled', () => seen.length >= 2 || `${seen}`);
  expect(seen).toEqual(['v1', 'v2']);
  await untilFiled();
});

test('a retry that the log no longer holds does not wait for the position', async () => {
  const [id = 0] = await publish(['k', 'v1']);
  await leave([id]);
  await database.query(
    `update pgwatch.delivery as d
     set notification = pgwatch.delivery_notification(log), payload = log.payload
     from pgwatch.notification_log as log where log.id = d.notification_id`,
  );
  await database.query('delete from pgwatch.notification_log');
  const { seen, definition } = collecting();
  await tail(definition);
  await until('it is handled', () => seen.length === 1);
  await untilFiled();
});

test('10,000 retries ahead of the position wait for no new notification', async () => {
  await publishRange(database, 1, 10_003, { keys: 100 });
  const { rows } = await database.query('select id::float8 from pgwatch.notification_log');
  await leave(rows.map(({ id }) => id).slice(1));
  const seen: number[] = [];
  await tail({ id: 'c', channels: ['c'], concurrency: 4, handle: () => void seen.push(1) });
  await until('all are handled', () => seen.length >= 10_003 || `${seen.length}`, 60_000);
  await untilFiled();
}, 90_000);

test("with onDead: 'stop' retries ahead of the position go on", async () => {
  const ids = await publish(['slow', 0], ['a', 'retry'], ['b', 'dead']);
  await leave(ids.slice(1));
  await database.query(
    `update pgwatch.delivery set state = 'dead', next_attempt_at = null where key = 'b'`,
  );
  const { seen, definition } = collecting({ onDead: 'stop' });
  await tail(definition);
  await until('the retry is handled', () => seen.includes('retry'));
  await untilFiled('dead');
});

test('after a replay, retries of other keys wait for no slow call', async () => {
  const releases = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const calls: unknown[] = [];
  const count = (payload: string) => calls.filter((call) => call === payload).length;
  await tail({
    id: 'c',
    channels: ['c'],
    concurrency: 4,
    retry: { backoff: () => 50 },
    async handle({ payload }: Notification) {
      calls.push(payload);
      if (payload === 'slow') await releases[count('slow') - 1]?.promise;
      if (payload === 'fails') throw new Error('not yet');
    },
  });
  const [done = 0] = await publish(['x', 'done']);
  await until('it is handled', () => calls.includes('done'));
  await publish(['s', 'slow'], ['f', 'fails']);
  await until('it has failed', () => count('fails') > 2);
  const client = await database.connect();
  const whole = { since: null, until: null, channel: null, key: null };
  const stretch = { ...whole, consumerId: 'c', ids: [done] };
  await fileReplay(client, 'pgwatch', { stretch, speed: null, max: 10 });
  releases[0]?.resolve();
  await until('the slow call is made again', () => count('slow') === 2 || `${calls}`);
  const before = count('fails');
  await until('the other fails again', () => count('fails') > before + 2 || `${calls}`);
  // The owner before the replay may deliver it, too, until it learns that it has lost the consumer.
  expect([2, 3]).toContain(count('done'));
  releases[1]?.resolve();
});

test('what a dead owner was calling is due at once', async () => {
  const ids = await publish(['slow', 'slow'], ['other', 'other']);
  await leave(ids.slice(0, 1));
  await database.query(
    `update pgwatch.delivery
     set is_suspect = true, called_attempt = 4, next_attempt_at = now() + interval '1 hour'`,
  );
  const { seen, definition } = collecting();
  await tail(definition);
  await until('both are handled', () => seen.length === 2 || `${seen}`);
});
