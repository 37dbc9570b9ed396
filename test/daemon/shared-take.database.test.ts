import { expect } from 'vitest';
import { takeShared } from '../../src/daemon/shared/take.ts';
import { TakePlace } from '../../src/daemon/shared/take-place.ts';
import { insertLeases } from '../../src/log/leases/take.ts';
import { pageReader } from '../../src/log/page.ts';
import { useDatabase } from '../helpers/database.ts';
import { addDelivery, addShared } from '../helpers/deliveries.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { makeConsumer } from '../helpers/doors/run.ts';
import { until } from '../helpers/wait.ts';

const test = filesOnly('it tests parts of the daemon');

const database = useDatabase();

test("with onDead: 'stop' nothing is taken from a slot with a new dead letter", async () => {
  const consumer = makeConsumer({
    id: 'c',
    channels: ['c'],
    instances: 'shared',
    onDead: 'stop',
    handle: () => {},
  });
  await addShared(database, consumer);
  const [taker, settler] = [await database.connect(), await database.connect()];
  const lease = (id: number) => ({ kind: 'page' as const, slot: 1, notificationIds: [id] });
  await insertLeases(settler, 'pgwatch', 'c', [lease(1), lease(2)]);
  await settler.query('begin; lock table pgwatch.lease in access exclusive mode');
  const taking = takeShared(
    taker,
    {
      consumer,
      schema: 'pgwatch',
      daemonId: '00000000-0000-0000-0000-000000000001',
      readPage: pageReader('pgwatch'),
      rebasedId: 0,
      limit: { rows: 10, bytes: 1e6 },
      place: new TakePlace(),
    },
    { count: 10, isDue: true, mayRead: () => true },
  );
  await until('it waits', async () => {
    const { rowCount } = await database.query(
      `select from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rowCount === 1;
  });
  await addDelivery(settler, { consumerId: 'c', channel: 'c' });
  await settler.query(
    'delete from pgwatch.lease where notification_ids = array[1::bigint]; commit',
  );
  expect((await taking)?.leases).toEqual([]);
});
