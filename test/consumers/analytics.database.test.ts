import { expect, test } from 'vitest';
import { useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { loadExample } from '../helpers/example.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const { tail } = useDaemons(database);

test('analytics counts every notification once, even one delivered again', async () => {
  await database.query(`select smart_notify('orders') from generate_series(1, 450)`);
  const first = await tail(await loadExample('analytics'));
  await database.query(`select smart_notify('orders') from generate_series(1, 7)`);
  await database.query(`select smart_notify('reports'), smart_notify('nobody counts this')`);
  await until('all are counted', async () => counts('457 orders, 1 reports'));
  await first.stop();

  // As after a crash in which the position was not saved.
  await database.query(`update pgwatch.consumer_progress set done_id = 0, done_snapshot = '1:1:'`);
  const daemon = await tail(await loadExample('analytics'));
  await database.query(`select smart_notify('reports')`);
  await until('the new one is counted', async () => counts('457 orders, 2 reports'));
  expect(daemon.transitions.seen).toContainEqual({
    type: 'caught_up',
    consumerId: 'analytics',
    count: 458,
  });
});

async function counts(expected: string): Promise<boolean | string> {
  const { rows } = await database.query(
    `select string_agg(count || ' ' || channel, ', ' order by channel) as counts
     from (select channel, sum(count) as count from analytics_daily group by channel) as daily`,
  );
  return rows[0].counts === expected || String(rows[0].counts);
}
