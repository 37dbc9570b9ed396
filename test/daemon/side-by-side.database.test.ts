import { expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { startDaemon } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { failing, useDelivering } from '../helpers/delivering.ts';
import { publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';
import { wholeTest } from '../helpers/whole.ts';

const database = useDatabase({ pollInterval: '10m' });
const { start, tail, publish, filed, untilFiled } = useDelivering(database);

test('up to "concurrency" calls run at once, one per key', async () => {
  const running = new Set<unknown>();
  const gate = Promise.withResolvers<void>();
  let most = 0;
  await tail({
    id: 'c',
    channels: ['c'],
    concurrency: 3,
    async handle({ payload }) {
      running.add(payload);
      most = Math.max(most, running.size);
      await gate.promise;
      running.delete(payload);
    },
  });
  await publish(['a', 'a1'], ['a', 'a2'], [null, 'n1'], ['b', 'b1'], ['c', 'c1']);
  await until('three run', () => running.size === 3);
  expect([...running]).toEqual(['a1', 'n1', 'b1']);
  gate.resolve();
  await until('all are through', () => running.size === 0);
  expect(most).toBe(3);
});

test('a call that times out is aborted, fails, and delays no other key', async () => {
  const seen: unknown[] = [];
  const reasons: unknown[] = [];
  const daemon = await tail({
    id: 'c',
    channels: ['c'],
    concurrency: 2,
    timeout: 100,
    retry: { backoff: () => 1 },
    async handle({ payload, attempt }, { signal }) {
      seen.push(payload);
      if (payload !== 'a1' || attempt > 1) return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      reasons.push(signal.reason);
      await new Promise(() => {});
    },
  });
  await publish(['a', 'a1'], ['a', 'a2'], ['b', 'b1']);
  await daemon.transitions.for({ type: 'handler_failed' });
  expect(seen).toEqual(['a1', 'b1']);
  expect(String(reasons[0])).toContain('did not return within 100 ms');
  await until('it comes again, and the one after it', () => seen.length === 4);
  expect(seen).toEqual(['a1', 'b1', 'a1', 'a2']);
  await untilFiled();
});

test('at the shutdown timeout the signal aborts, and the notification comes again', async () => {
  const reasons: unknown[] = [];
  let calls = 0;
  const definition = {
    id: 'c',
    channels: ['c'],
    async handle(_: Notification, { signal }: { signal: AbortSignal }) {
      calls += 1;
      if (calls > 1) return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      reasons.push(signal.reason);
      await new Promise(() => {});
    },
  };
  const daemon = startDaemon({ ...database.config, shutdownTimeoutMs: 100 }, [definition]);
  await publish(['a', 1]);
  await until('it is called', () => calls === 1);
  await daemon.stop();
  expect(reasons.length).toBe(1);
  expect(await filed()).toEqual([]);
  await tail(definition);
  await until('it comes again', () => calls === 2);
});

test("blocked notifications continue once order is 'none'", async () => {
  const seen: unknown[] = [];
  const definition = {
    id: 'c',
    channels: ['c'],
    retry: { backoff: () => '1h' },
    handle({ payload }: Notification) {
      seen.push(payload);
      if (payload === 'a1') throw new Error('not yet');
    },
  };
  const first = await tail(definition);
  await publish(['a', 'a1'], ['a', 'a2'], ['a', 'a3']);
  await untilFiled('retry', 'blocked', 'blocked');
  await first.stop();
  await tail({ ...definition, order: 'none' });
  await untilFiled('retry');
  expect(seen.sort()).toEqual(['a1', 'a2', 'a3']);
});

wholeTest(
  'while all calls fail, a consumer takes no more than its limit, says so once, and recovers',
  async () => {
    let isDown = true;
    let calls = 0;
    const fail = failing(1);
    await publishRange(database, 1, 12000);
    const daemon = start({
      id: 'c',
      channels: ['c'],
      retry: { backoff: () => (isDown ? '1h' : 1) },
      handle({ payload }) {
        calls += 1;
        if (isDown) fail(payload);
      },
    });
    const warnings = () => daemon.reports.filter((line) => line.includes('new ones are held back'));
    await until('it pauses', () => warnings().length === 1);
    await until('it is at rest', async () => {
      const { rows } = await database.query('select count(*)::int as count from pgwatch.delivery');
      return rows[0].count === calls || `${rows[0].count} of ${calls}`;
    });
    expect(calls).toBeGreaterThan(10_000);
    expect(calls).toBeLessThan(11_000);
    isDown = false;
    await database.query('update pgwatch.delivery set next_attempt_at = now()');
    await database.query(`notify pgwatch, 'pgwatch:retry'`);
    await until('all are through', async () => {
      const { rows } = await database.query(
        `select done_id = (select max(id) from pgwatch.notification_log) as is_read,
         (select count(*)::int from pgwatch.delivery) as filed from pgwatch.consumer_progress`,
      );
      return (rows[0].is_read && rows[0].filed === 0) || JSON.stringify(rows[0]);
    });
    expect(warnings().length).toBe(1);
  },
);
