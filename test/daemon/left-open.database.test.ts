import { expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { startProxy } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase({ poolSize: 5 });
const { keep, publish } = useDelivering(database);

test('locks of a transaction whose connection is lost are released', async () => {
  await database.query('create table effect (payload jsonb primary key)');
  const proxy = await startProxy(database.url);
  const beats = { heartbeatIntervalMs: 50, heartbeatDeadlineMs: 200 };
  const calls: unknown[] = [];
  const daemon = keep(
    await startTailing({ ...database.config, url: proxy.url, ...beats }, [
      {
        id: 'c',
        channels: ['c'],
        transaction: true,
        async handle({ payload }: Notification, { db }) {
          await db.query('insert into effect values ($1)', [JSON.stringify(payload)]);
          if (calls.push(payload) > 1) return;
          // The server still believes that all connections are alive.
          proxy.blackhole();
          await db.query('select 1');
        },
      },
    ]),
  );
  await publish(['a', 1]);
  await until(
    'it is done',
    async () => {
      const { rows } = await database.query('select payload from effect');
      return rows.length === 1 || JSON.stringify(calls);
    },
    8000,
  );
  await daemon.stop();
  await proxy.close();
  await database.query('drop table effect');
});

test('the server ends a transaction that it no longer hears from', async () => {
  const limits: unknown[] = [];
  const direct = { ...database.config, heartbeatDeadlineMs: 1000 };
  keep(
    await startTailing(direct, [
      {
        id: 'c',
        channels: ['c'],
        transaction: true,
        timeout: '3s',
        async handle(_: Notification, { db }) {
          const { rows } = await db.query('show idle_in_transaction_session_timeout');
          limits.push(rows[0]?.idle_in_transaction_session_timeout);
        },
      },
    ]),
  );
  await publish(['a', 1]);
  await until('it is called', () => limits.length === 1);
  expect(limits).toEqual(['15s']);
});
