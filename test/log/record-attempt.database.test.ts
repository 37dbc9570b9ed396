import { expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { underWay } from '../../src/log/deliveries/delivery.ts';
import { recordAttempts } from '../../src/log/leases/settle.ts';
import { insertLeases, takeLeases } from '../../src/log/leases/take.ts';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const SCOPE = { consumerId: 'c', isOrdered: true };
const DAEMON = '00000000-0000-0000-0000-000000000001';
const CHANGE = underWay({ id: 7, key: null, attempt: 1 }, 0);

test('a process that is losing a lease records no attempt', async () => {
  const client = await database.connect();
  await insertLeases(client, 'pgwatch', 'c', [{ kind: 'page', slot: null, notificationIds: [7] }]);
  const take = { consumerId: 'c', daemonId: DAEMON, isStopping: false, count: 1 };
  const [lease] = await takeLeases(client, 'pgwatch', take);
  if (!lease) throw new Error('there is one to take');
  expect(await recordAttempts(client, 'pgwatch', SCOPE, [lease], [CHANGE])).toBe(true);
  const recorded = await database.query('select attempts, is_suspect from pgwatch.delivery');
  expect(recorded.rows).toEqual([{ attempts: 1, is_suspect: true }]);
  await database.query('delete from pgwatch.delivery');
  // If the server has lost its last commits, the lease with this id may be another one.
  const ofPastServer = { ...lease, server: '0' };
  expect(await recordAttempts(client, 'pgwatch', SCOPE, [ofPastServer], [CHANGE])).toBe(false);

  await withConnection({ url: database.url }, async (successor) => {
    await successor.query('begin; update pgwatch.lease set epoch = epoch + 1, owner = null');
    const recording = recordAttempts(client, 'pgwatch', SCOPE, [lease], [CHANGE]);
    await until('it waits', async () => {
      const { rowCount } = await database.query(
        `select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rowCount === 1;
    });
    await successor.query('commit');
    expect(await recording).toBe(false);
  });
  expect((await database.query('select from pgwatch.delivery')).rowCount).toBe(0);
});
