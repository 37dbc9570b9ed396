import { expect, test } from 'vitest';
import { cache } from '../../consumers/cache-invalidation.ts';
import { useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { loadExample } from '../helpers/example.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const { tail } = useDaemons(database);

test('a cached row is dropped when it changes, and all rows on truncate', async () => {
  await database.query(`
    create table users (id integer primary key, name text);
    create trigger users_changed after insert or update or delete on users
      for each row execute function notify_data_change();
    create trigger users_truncated after truncate on users
      for each statement execute function notify_data_change();
    insert into users select n, 'user ' || n from generate_series(1, 5) as n`);
  await tail(await loadExample('cache_invalidation'));
  for (let id = 1; id <= 5; id++) cache.set(`public.users:${id}`, { id });
  cache.set('public.users_of_old:1', {});

  await database.query(`update users set name = 'renamed' where id = 2`);
  await database.query(`delete from users where id = 4`);
  await until('both are gone', () => cache.size === 4 || [...cache.keys()].join());
  expect([...cache.keys()]).toEqual([
    'public.users:1',
    'public.users:3',
    'public.users:5',
    'public.users_of_old:1',
  ]);

  await database.query('truncate users');
  await until('only the other table is left', () => cache.size === 1 || [...cache.keys()].join());
  expect([...cache.keys()]).toEqual(['public.users_of_old:1']);
});
