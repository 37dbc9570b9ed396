import { expect, test } from 'vitest';
import type { Gap } from '../../src/log/gap.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: a consumer that misses removed notifications is told at least once, in order, and never by its
handler.
*/

const database = useDatabase();
const delivering = useDelivering(database);

/** As cleanup does. */
async function tell(count: number): Promise<void> {
  const gap = {
    consumer_id: 'c',
    count,
    first_id: 3,
    last_id: 9,
    from: '2020-01-01T00:00:00Z',
    until: '2020-01-02T00:00:00Z',
  };
  await database.query('select pgwatch.log_gap_tell($1)', [JSON.stringify([gap])]);
}

/** Publishes a, a gap, b and another gap in one transaction, so one read finds them all. */
async function publishAll(): Promise<void> {
  const client = await database.connect();
  await client.query('begin');
  await client.query(`select smart_notify('c', '"a"', 'k')`);
  await client.query(
    `select pgwatch.log_gap_tell('[{"consumer_id": "c", "count": 5}]'),
       smart_notify('c', '"b"', 'k')`,
  );
  await client.query(`select pgwatch.log_gap_tell('[{"consumer_id": "c", "count": 6}]')`);
  await client.query('commit');
  await client.end();
}

test.each([
  { transaction: false, instances: 'one' },
  { transaction: true, instances: 'one' },
  { transaction: false, instances: 'shared' },
  { transaction: true, instances: 'shared' },
] as const)('onGap receives gaps, handleBatch everything else: %o', async (options) => {
  const seen: unknown[] = [];
  await delivering.tail({
    id: 'c',
    channels: ['c'],
    ...options,
    schema: {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          typeof value === 'string' ? { value } : { issues: [{ message: 'no text' }] },
      },
    },
    handleBatch: (notifications) => {
      seen.push(...notifications.map(({ payload }) => payload));
    },
    onGap: ({ count }) => {
      seen.push(count);
    },
  });
  await publishAll();
  await until('all were told', () => seen.length >= 4);
  expect(seen.toSorted()).toEqual([5, 6, 'a', 'b']);
  if (options.instances === 'one') expect(seen).toEqual(['a', 5, 'b', 6]);
  expect(await delivering.filed()).toEqual([]);
});

test('an onGap that throws is called again', async () => {
  const gaps: Gap[] = [];
  await delivering.tail({
    id: 'c',
    channels: ['c'],
    retry: { backoff: 1 },
    handle: () => expect.unreachable(),
    onGap: (gap) => {
      gaps.push(gap);
      if (gaps.length < 3) throw new Error('not now');
    },
  });
  await tell(7);
  await until('it was told three times', () => gaps.length === 3);
  expect(gaps[2]).toEqual({
    firstId: 3,
    lastId: 9,
    count: 7,
    from: new Date('2020-01-01'),
    until: new Date('2020-01-02'),
    removedAt: expect.any(Date),
  });
  await delivering.untilFiled();
});

test('with transaction: true onGap writes in the transaction that saves the position', async () => {
  await database.query('create table gaps (count integer)');
  let calls = 0;
  await delivering.tail({
    id: 'c',
    channels: ['c'],
    transaction: true,
    retry: { backoff: 1 },
    handle: () => expect.unreachable(),
    onGap: async ({ count }, { db }) => {
      await db.query('insert into gaps values ($1)', [count]);
      if (++calls < 2) throw new Error('not now');
    },
  });
  await tell(8);
  await until('it was told twice', () => calls === 2);
  await delivering.untilFiled();
  expect((await database.query('select count from gaps')).rows).toEqual([{ count: 8 }]);
});

test('without onGap the daemon reports the gap and continues', async () => {
  const seen: unknown[] = [];
  const daemon = await delivering.tail({
    id: 'c',
    channels: ['c'],
    handle: ({ payload }) => {
      seen.push(payload);
    },
  });
  await tell(9);
  await delivering.publish([null, 'next']);
  await until('the next one was handled', () => seen.length > 0);
  expect(seen).toEqual(['next']);
  expect(daemon.reports.join('')).toMatch(/c: it will never receive up to 9 .*ids 3 to 9.*onGap/);
});

test('onGap is not called after the timeout of the call', async () => {
  const attempts: number[] = [];
  let calls = 0;
  await delivering.tail({
    id: 'c',
    channels: ['c'],
    timeout: '100ms',
    retry: { backoff: 1 },
    handleBatch: async (_, { signal }) => {
      // The first call returns only at its timeout, and then normally.
      if (++calls > 1) return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
    onGap: (_, { attempt }) => {
      attempts.push(attempt);
    },
  });
  await publishAll();
  await until('both were told', () => attempts.length === 2);
  expect(attempts).toEqual([2, 2]);
});
