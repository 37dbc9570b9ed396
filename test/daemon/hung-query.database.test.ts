import { expect, test } from 'vitest';
import type { ConsumerContext } from '../../src/consumers/define.ts';
import type { Notification } from '../../src/log/notification.ts';
import { startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { startProxy } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase({ poolSize: 5 });
const { tail, keep, publish, untilFiled } = useDelivering(database);

test('a query that outlives its call is canceled, and keeps no connection', async () => {
  const ended: string[] = [];
  const seen: unknown[] = [];
  const late = Promise.withResolvers<ConsumerContext>();
  await tail({
    id: 'c',
    channels: ['c'],
    concurrency: 8,
    timeout: '100ms',
    retry: { attempts: 1 },
    async handle({ payload }: Notification, context: ConsumerContext) {
      if (payload === 'hangs') {
        const hanging = context.db.query('select pg_sleep(3600)');
        await hanging.catch(({ message }: Error) => ended.push(message));
        late.resolve(context);
        throw new Error('too late to be reported');
      }
      await context.db.query('select 1');
      seen.push(payload);
    },
  });
  // More than there are connections.
  await publish(...Array.from({ length: 8 }, (): [null, string] => [null, 'hangs']));
  const dead = await untilFiled(...new Array(8).fill('dead'));
  for (const { error } of dead) expect(error?.name).toBe('TimeoutError');
  await until('all are cut off', () => ended.length === 8 || `${ended}`);
  await publish([null, 'works']);
  await until('it has a connection', () => seen.length === 1);
  const { db } = await late.promise;
  await expect(db.query('select 1')).rejects.toThrow('pgwatch no longer waits for this call');
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and query like '%pg_sleep(3600)'`,
  );
});

test.each([
  ['before its first query', 'begin'],
  ['before the handler is called', 'savepoint'],
  ['before its work is settled', 'release'],
])('a connection that falls silent %s delays its consumer only briefly', async (_, statement) => {
  await database.query('create table effect (payload jsonb primary key)');
  const proxy = await startProxy(database.url);
  const direct = { directUrl: database.url, heartbeatDeadlineMs: 40 };
  const calls: unknown[] = [];
  const daemon = keep(
    await startTailing({ ...database.config, url: proxy.url, ...direct }, [
      {
        id: 'c',
        channels: ['c'],
        transaction: true,
        async handle({ payload }: Notification, { db }) {
          calls.push(payload);
          await db.query('insert into effect values ($1)', [JSON.stringify(payload)]);
        },
      },
    ]),
  );
  proxy.swallowAt(statement);
  await publish(['a', 1], ['b', 2]);
  await until('both are done', async () => {
    const { rows } = await database.query('select payload from effect order by payload');
    return rows.map(({ payload }) => payload).join() === '1,2' || JSON.stringify([rows, calls]);
  });
  expect(proxy.hasSwallowed).toBe(true);
  await daemon.stop();
  await proxy.close();
  await database.query('drop table effect');
});
