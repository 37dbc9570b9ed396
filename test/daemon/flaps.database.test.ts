import { afterAll, test, vi } from 'vitest';
import { startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';
import { size } from '../helpers/whole.ts';

// Other files of this process have loaded the mocked module, and need it unmocked.
vi.hoisted(() => vi.resetModules());
afterAll(() => vi.resetModules());

// A daemon that keeps losing its connections would wait longer and longer.
vi.mock('../../src/time.ts', async (importOriginal) => ({
  ...(await importOriginal<typeof import('../../src/time.ts')>()),
  backoffMs: () => 1,
}));

const database = useDatabase();

/** How many connections the daemon has. */
async function count(): Promise<number> {
  const { rows } = await database.query(
    `select count(*)::int from pg_stat_activity
     where datname = current_database() and application_name like 'pgwatch%'`,
  );
  return rows[0].count;
}

function terminate(name: string) {
  return database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = $1`,
    [name],
  );
}

const FLAPS = size(100, 20);

test('a daemon that loses sessions and reads leaks no connection and misses nothing', {
  timeout: 90_000,
}, async () => {
  const seen = new Set<unknown>();
  const config = { ...database.config, poolSize: 4, pollIntervalMs: 20 };
  const daemon = await startTailing(config, [
    {
      id: 'c',
      channels: ['c'],
      async handle({ payload }, { db }) {
        await db.query('select 1').catch(() => {});
        seen.add(payload);
      },
    },
  ]);
  const locker = await database.connect();
  let most = 0;
  for (let flap = 1; flap <= FLAPS; flap++) {
    await database.query(`select smart_notify('c', to_jsonb($1::int))`, [flap]);
    if (flap % 2 === 0) {
      await terminate('pgwatch control');
    } else {
      // In the middle of a read: the session continues.
      await locker.query('begin; lock table pgwatch.notification_log in access exclusive mode');
      await until('a read waits', async () => {
        const waiting = `select from pg_stat_activity
          where datname = current_database() and application_name = 'pgwatch'
            and wait_event_type = 'Lock'`;
        return (await database.query(waiting)).rowCount !== 0;
      });
      await terminate('pgwatch');
      await locker.query('commit');
    }
    await daemon.transitions.for({ type: 'tail_joined' }, 1 + Math.floor(flap / 2));
    await until('it has arrived', () => seen.has(flap));
    // The server still counts a connection that is closing for a moment.
    await until('no more are left than allowed', async () => {
      const number = await count();
      most = Math.max(most, number);
      return number <= 1 + config.poolSize || `${number} are`;
    });
  }
  await until('all have arrived', () => seen.size === FLAPS || `${seen.size} have`);
  console.log(`${FLAPS} losses: ${await count()} connections at the end, ${most} at most`);
  await daemon.stop();
});
