import { expect, test } from 'vitest';
import { readHolders } from '../../src/database/holders.ts';
import { useDatabase } from '../helpers/database.ts';

const here = useDatabase();
const there = useDatabase();

test("who holds a table of another database, that has the same oid there, is in nobody's way", async () => {
  const [client, other] = [await here.connect(), await there.connect()];
  const oidIn = async (database: typeof here): Promise<number> =>
    (await database.query(`select 'pgwatch.delivery'::regclass::oid::int8::float8 as oid`)).rows[0]
      .oid;
  const oid = await oidIn(here);
  // Databases that were made of one template have them in common.
  expect(await oidIn(there)).toBe(oid);
  await other.query('begin; lock table pgwatch.delivery');
  expect(await readHolders(client, [oid])).toBe('a session that has released it by now');
  const own = await here.connect();
  await own.query('begin; lock table pgwatch.delivery');
  expect(await readHolders(client, [oid])).toMatch(/^pid \d+ is idle in transaction/);
  await Promise.all([own.query('rollback'), other.query('rollback')]);
});
