import { expect } from 'vitest';
import { withDeadline } from '../../src/time.ts';
import { useDatabase } from '../helpers/database.ts';
import { filesOnly } from '../helpers/doors/only.ts';

const test = filesOnly('it tests parts of the daemon');

const database = useDatabase();

test('a server that has answered is not late because this process was busy', async () => {
  const client = await database.connect();
  const answer = withDeadline(client.query('select 1 as one'), 50, () => new Error('silent'));
  // Like a handler that computes.
  const end = performance.now() + 200;
  while (performance.now() < end);
  expect((await answer).rows).toEqual([{ one: 1 }]);
  const hanging = client.query('select pg_sleep(3600)');
  hanging.catch(() => {});
  await expect(withDeadline(hanging, 50, () => new Error('silent'))).rejects.toThrow('silent');
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and query like '%pg_sleep(3600)'`,
  );
});
