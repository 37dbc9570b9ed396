import { expect, test } from 'vitest';
import { recordAttempts } from '../../src/log/delivery.ts';
import { useDatabase } from '../helpers/database.ts';
import { addConsumers } from '../helpers/deliveries.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const ATTEMPT = { notificationId: 7, key: null, attempt: 1, delayMs: 0 };

test('an owner that is just being followed records no attempt', async () => {
  await addConsumers(database, ['email']);
  const claim = { consumerId: 'email', epoch: 0 };
  expect(await recordAttempts(database.pool, 'pgwatch', claim, [ATTEMPT])).toBe(true);
  await database.query('delete from pgwatch.delivery');

  const successor = await database.connect();
  await successor.query('begin; update pgwatch.consumer_progress set epoch = epoch + 1');
  const recording = recordAttempts(database.pool, 'pgwatch', claim, [ATTEMPT]);
  await until('it waits', async () => {
    const { rowCount } = await database.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rowCount === 1;
  });
  await successor.query('commit');
  expect(await recording).toBe(false);
  expect((await database.query('select from pgwatch.delivery')).rowCount).toBe(0);
});
