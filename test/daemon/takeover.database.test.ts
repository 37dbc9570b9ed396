import { expect, test } from 'vitest';
import { startDaemon, startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { seize } from '../helpers/owner.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const { publish, untilFiled, keep } = useDelivering(database);

test('who fails in the middle of taking over does not forget that the owner before has died', async () => {
  const failing = {
    id: 'c',
    channels: ['c'],
    retry: { backoff: () => 3_600_000 },
    handle: () => Promise.reject(new Error('not yet')),
  };
  const first = await startTailing(database.config, [failing]);
  await publish(['a', 1]);
  await untilFiled('retry');
  await first.stop();
  await seize(await database.connect(), { consumerId: 'c', channels: ['c'] });
  await database.query(`
    create function fail() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
    create trigger fail before update on pgwatch.delivery for each row execute function fail()`);
  const daemon = keep(startDaemon(database.config, [failing]));
  await daemon.transitions.for({ type: 'disconnected' });
  await database.query('drop trigger fail on pgwatch.delivery');
  await daemon.transitions.for({ type: 'consumer_owned' });
  await until('it is suspect', async () => {
    const { rows } = await database.query('select is_suspect from pgwatch.delivery');
    return rows[0].is_suspect || JSON.stringify(rows);
  });
  expect(daemon.reports.join('')).toContain('c was not stopped cleanly');
});
