import { beforeAll, expect, test } from 'vitest';
import { readInTheWay } from '../../src/database/in-the-way.ts';
import { runCli } from '../helpers/cli.ts';
import { useDatabase } from '../helpers/database.ts';
import { addConsumers } from '../helpers/deliveries.ts';
import { findingsOf } from '../helpers/doctor.ts';

const database = useDatabase();

beforeAll(() => addConsumers(database, ['c']));

test.each([
  ['update pgwatch.consumer_progress set done_id = done_id', 'consumer_progress'],
  ['select from pgwatch.consumer_progress for update', 'consumer_progress'],
  ['delete from pgwatch.delivery', 'delivery'],
  ['lock table pgwatch.lease in exclusive mode', 'lease'],
])('a session that ran "%s" and has been idle since is named', async (sql, table) => {
  const [client, holder] = [await database.connect(), await database.connect()];
  expect(await readInTheWay(client, 'pgwatch', 0)).toEqual([]);
  await holder.query(`set application_name = 'an-app'; begin; ${sql}`);
  expect(await readInTheWay(client, 'pgwatch', 0)).toEqual([
    expect.stringMatching(
      new RegExp(
        `^Rows of pgwatch\\.${table} may be held by pid \\d+ \\(an-app\\) of role \\w+, ` +
          'idle in transaction for .* select pg_terminate_backend\\(\\d+\\);$',
      ),
    ),
  ]);
  expect(await findingsOf(database.config, 'locks', { lockMs: 0 })).toEqual([
    expect.stringContaining(`problem: Rows of pgwatch.${table} may be held by pid `),
  ]);
  // A transaction that has only just begun is not named.
  expect(await readInTheWay(client, 'pgwatch')).toEqual([]);
  await holder.query('rollback');
});

test('readers, and daemons with an open handler transaction, are not named', async () => {
  const [client, holder] = [await database.connect(), await database.connect()];
  await holder.query('begin; select from pgwatch.consumer_progress');
  expect(await readInTheWay(client, 'pgwatch', 0)).toEqual([]);
  await holder.query(`set application_name = 'pgwatch'; select from pgwatch.lease for update`);
  expect(await readInTheWay(client, 'pgwatch', 0)).toEqual([]);
  await holder.query('rollback');
});

test('why and status name a session that has held one of our locks for long', async () => {
  const holder = await database.connect();
  await holder.query(`select pg_advisory_lock(pgwatch.cleanup_key())`);
  await database.query(`select smart_notify('x')`);
  await expect
    .poll(async () => readInTheWay(database.pool, 'pgwatch'), { timeout: 20_000 })
    .toHaveLength(1);
  for (const args of [['why', '1'], ['status'], ['status', '--json']]) {
    const { stderr } = await runCli(args, { env: { DATABASE_URL: database.url } });
    expect(stderr).toMatch(/warning The advisory lock for cleanup is held by pid \d+ .*, idle for/);
  }
  await holder.query('select pg_advisory_unlock_all()');
});
