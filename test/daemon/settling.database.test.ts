import { expect } from 'vitest';
import { type SettlementOwner, Settler } from '../../src/daemon/owned/settler.ts';
import { Pool } from '../../src/database/pool.ts';
import { registerConsumer } from '../../src/log/positions/progress.ts';
import { StreamReporter } from '../../src/reporter.ts';
import { useDatabase } from '../helpers/database.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { seize } from '../helpers/owner.ts';
import { until } from '../helpers/wait.ts';

const test = filesOnly('it tests parts of the daemon');

const database = useDatabase();

test('flush() does not wait for a consumer that settles without pause', async () => {
  const client = await database.connect();
  const pool = new Pool({ url: database.url, size: 2 });
  const settler = new Settler(pool, 'pgwatch', new StreamReporter());
  const saved: string[] = [];
  let isBusy = true;
  const own = async (consumerId: string, onSaved: () => void): Promise<SettlementOwner> => {
    const consumer = { id: consumerId, channels: ['c'], from: 'start' } as const;
    await registerConsumer(client, 'pgwatch', consumer);
    const taken = await seize(client, { consumerId, channels: ['c'] });
    return { ...taken, isOrdered: true, onSaved, onFiled() {}, onFenced() {} };
  };
  const busy = await own('busy', () => {
    saved.push('busy');
    if (isBusy) settler.settle(busy, start);
  });
  const rare = await own('rare', () => saved.push('rare'));
  const { rows } = await database.query('select pg_current_snapshot()::text as snapshot');
  const start = { doneId: 0, doneSnapshot: rows[0].snapshot, doneXid: null, window: null };
  settler.settle(busy, start);
  const timer = setTimeout(() => {
    isBusy = false;
  }, 3000);
  await until('it is settled again and again', () => saved.length > 5);
  settler.settle(rare, start);
  await settler.flush();
  expect(saved).toContain('rare');
  expect(isBusy).toBe(true);
  clearTimeout(timer);
  isBusy = false;
  await settler.close();
  await pool.close();
});
