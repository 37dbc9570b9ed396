import { afterEach, expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { startTailing, type TestDaemon } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
let daemon: TestDaemon | undefined;

afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
});

test('what was published before the daemon started is replayed in order, then what comes is handed on', async () => {
  const seen: Notification[] = [];
  await database.query(
    `select smart_notify('one', to_jsonb(n)) from generate_series(1, 1200) as n`,
  );
  daemon = await startTailing(database.config, [
    { id: 'one', channels: ['one'], handle: (notification) => seen.push(notification) },
  ]);
  expect(seen.map(({ payload }) => payload)).toEqual(Array.from({ length: 1200 }, (_, i) => i + 1));
  expect(seen.every(({ isReplay }) => isReplay)).toBe(true);

  await database.query(`select smart_notify('one', '"live"')`);
  await until('the live one arrives', () => seen.length === 1201);
  expect(seen[1200]).toMatchObject({
    payload: 'live',
    isReplay: false,
    attempt: 1,
    channel: 'one',
  });
});
