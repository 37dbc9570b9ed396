import { expect, test } from 'vitest';
import { startDaemon, startTailing, type TestDaemon } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { startProxy } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const CONSUMER = { id: 'c', channels: ['c'], handle: () => {} };
const IMPATIENT = { shutdownTimeoutMs: 300 };

/** Locks a table in a transaction; the returned function rolls it back. */
async function lock(table: string) {
  const client = await database.connect();
  await client.query(`begin; lock table pgwatch.${table} in access exclusive mode`);
  return () => client.query('rollback');
}

const untilBlocked = (applicationName: string) =>
  until('a statement waits for the lock', async () => {
    const { rowCount } = await database.query(
      `select from pg_stat_activity where datname = current_database()
         and application_name = $1 and wait_event_type = 'Lock'`,
      [applicationName],
    );
    return rowCount !== 0;
  });

async function expectToStop(daemon: TestDaemon): Promise<void> {
  let hasStopped = false;
  const stopping = daemon.stop().then(() => {
    hasStopped = true;
  });
  await until('it has stopped', () => hasStopped, 10_000);
  await stopping;
}

test('a daemon whose read waits for a lock stops', async () => {
  const daemon = await startTailing({ ...database.config, ...IMPATIENT }, [CONSUMER]);
  const unlock = await lock('notification_log');
  await untilBlocked('pgwatch');
  await expectToStop(daemon);
  await unlock();
});

test('a daemon whose start waits for a lock stops', async () => {
  const unlock = await lock('migration');
  const daemon = startDaemon({ ...database.config, ...IMPATIENT }, [CONSUMER]);
  await untilBlocked('pgwatch control');
  await expectToStop(daemon);
  await unlock();
});

test('a daemon that cannot save a position stops', async () => {
  const daemon = await startTailing({ ...database.config, ...IMPATIENT }, [CONSUMER]);
  const unlock = await lock('consumer_progress');
  await database.query(`select smart_notify('c')`);
  await untilBlocked('pgwatch');
  await expectToStop(daemon);
  await unlock();
});

test('a daemon whose network has fallen silent stops', async () => {
  const proxy = await startProxy(database.url);
  const config = { ...database.config, ...IMPATIENT, url: proxy.url };
  const daemon = await startTailing(config, [CONSUMER]);
  proxy.blackhole();
  await expectToStop(daemon);
  await proxy.close();
});

test('a daemon that cannot continue says why, although a handler never returns', async () => {
  const config = { ...database.config, ...IMPATIENT };
  const isHandling = Promise.withResolvers<void>();
  const daemon = await startTailing(config, [
    {
      id: 'hanging',
      channels: ['hanging'],
      handle() {
        isHandling.resolve();
        return new Promise(() => {});
      },
    },
  ]);
  await database.query(`select smart_notify('hanging')`);
  await isHandling.promise;
  await database.query(`insert into pgwatch.migration values (9999, 'later', '')`);
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'pgwatch control'`,
  );
  await expect(daemon.ended).rejects.toThrow('migrated by a newer pgwatch');
  await database.query('delete from pgwatch.migration where number = 9999');
});
