import { expect } from 'vitest';
import { startTailing } from '../helpers/daemon.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { until } from '../helpers/wait.ts';
import { size } from '../helpers/whole.ts';

const test = filesOnly('it measures writers');

/*
What NOTIFY costs writers: 16 writers, one notification per transaction, with a NOTIFY each and with
the doorbell, while a daemon reads along. The writers run inside the server, so only the server is
measured. The figure is printed and not asserted because it depends on the machine; the test asserts
its cause: busy writers do not ring. fsync is on because NOTIFY makes commits wait for each other's
flush.
*/

const database = useIsolatedServer({ fsync: 'on' });
const WRITERS = 16;
const EACH = size(250, 60);

test('16 busy writers seldom ring the doorbell; with "always" each one notifies', async () => {
  await database.query(`create procedure publish(mode text, n int) language plpgsql as $$
    begin
      perform set_config('pgwatch.notify', mode, false);
      for i in 1..n loop perform smart_notify('load', to_jsonb(mode)); commit; end loop;
    end $$`);
  const counts: Record<string, number> = { always: 0, doorbell: 0 };
  const daemon = await startTailing(database.config, [
    {
      id: 'load',
      channels: ['load'],
      handle: ({ payload }) => {
        counts[payload as string] = (counts[payload as string] ?? 0) + 1;
      },
    },
  ]);
  const listener = await database.connect();
  const rings: Record<string, number> = { load: 0, pgwatch: 0 };
  listener.on('notification', ({ channel }) => {
    rings[channel] = (rings[channel] ?? 0) + 1;
  });
  await listener.query('listen load; listen pgwatch');

  const rates: Record<string, number[]> = { always: [], doorbell: [] };
  const clients = await Promise.all(Array.from({ length: WRITERS }, () => database.connect()));
  for (const mode of ['always', 'doorbell', 'always', 'doorbell', 'always', 'doorbell']) {
    const startedAt = performance.now();
    await Promise.all(clients.map((client) => client.query(`call publish('${mode}', ${EACH})`)));
    rates[mode]?.push((WRITERS * EACH) / ((performance.now() - startedAt) / 1000));
  }
  const total = 3 * WRITERS * EACH;
  await until('all have arrived', () => counts.always === total && counts.doorbell === total);
  await daemon.stop();

  const median = (mode: string) => Math.round(rates[mode]?.sort((a, b) => a - b)[1] ?? 0);
  const ratio = (median('doorbell') / median('always')).toFixed(2);
  console.log(
    `16 writers, commits/s: always ${median('always')}, doorbell ${median('doorbell')}, ` +
      `ratio ${ratio}; rings for ${total} in doorbell mode: ${rings.pgwatch}`,
  );
  expect(rings.load).toBe(total);
  expect(rings.pgwatch).toBeLessThan(total / 4);
}, 120_000);
