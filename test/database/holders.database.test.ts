import { expect, test } from 'vitest';
import { readHolders } from '../../src/database/holders.ts';
import { useDatabase } from '../helpers/database.ts';

const here = useDatabase();
const there = useDatabase();

test('a session that holds the same oid in another database is not a holder', async () => {
  const [client, other] = [await here.connect(), await there.connect()];
  const oidIn = async (database: typeof here): Promise<number> =>
    (await database.query(`select 'pgwatch.delivery'::regclass::oid::int8::float8 as oid`)).rows[0]
      .oid;
  const oid = await oidIn(here);
  // Databases created from one template have the same oids.
  expect(await oidIn(there)).toBe(oid);
  await other.query('begin; lock table pgwatch.delivery');
  expect(await readHolders(client, [oid])).toBe('a session that has released it by now');
  const own = await here.connect();
  await own.query('begin; lock table pgwatch.delivery');
  expect(await readHolders(client, [oid])).toMatch(/^pid \d+ is idle in transaction/);
  await Promise.all([own.query('rollback'), other.query('rollback')]);
});

test('a session that holds several tables is named once', async () => {
  const [client, own] = [await here.connect(), await here.connect()];
  await own.query('begin; lock table pgwatch.delivery, pgwatch.lease');
  const { rows } = await here.query(
    `select unnest('{pgwatch.delivery, pgwatch.lease}'::regclass[])::oid::int8::float8 as oid`,
  );
  const holders = await readHolders(
    client,
    rows.map(({ oid }) => oid),
  );
  expect(holders.match(/pid \d+/g)).toHaveLength(1);
  await own.query('rollback');
});
