import { expect, test } from 'vitest';
import { collecting, startDaemon } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const { keep, publish } = useDelivering(database);

test('a shared consumer skips its backlog although the first attempt fails', async () => {
  const { seen, definition } = collecting({ instances: 'shared' });
  await publish(['a', 1]);
  await database.query(`
    create function fail() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
    create trigger fail before update of done_id on pgwatch.consumer_progress
      for each row execute function fail()`);
  const daemon = keep(startDaemon(database.config, [definition], { skipPlayback: true }));
  await daemon.transitions.for({ type: 'disconnected' });
  await database.query('drop trigger fail on pgwatch.consumer_progress');
  await until('it is skipped', () => daemon.reports.join('').includes('skips everything'));
  await publish(['a', 2]);
  await until('the next one is handled', () => seen.includes(2) || `${seen}`);
  expect(seen).toEqual([2]);
});
