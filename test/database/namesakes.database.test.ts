import { expect, test } from 'vitest';
import { readNamesakes } from '../../src/database/api-functions.ts';
import { withConnection } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { useDatabase } from '../helpers/database.ts';
import { findingsOf } from '../helpers/doctor.ts';
import { createRole } from '../helpers/role.ts';

const database = useDatabase();

test.each([
  [
    'smart_notify',
    `create function public.smart_notify(text, text) returns bigint
     language sql as $$select -1::bigint$$`,
  ],
  [
    'smart_notify',
    `create function public.smart_notify(text, json) returns bigint
     language sql as $$select -1::bigint$$`,
  ],
  [
    'smart_notify_many',
    `create function public.smart_notify_many(text[], text[]) returns bigint
     language sql as $$select -1::bigint$$`,
  ],
  [
    'notify_data_change',
    `create function public.notify_data_change(text) returns bigint language sql
    security definer as $$select -1::bigint /* pgwatch.notification_log */$$`,
  ],
])('an overload of %s is reported, as a problem if another role owns it', async (name, sql) => {
  const { name: role, url } = await createRole(database, 'mallory');
  await database.query(`grant create on schema public to "${role}"`);
  await withConnection({ url }, (client) => client.query(sql));
  const client = await database.connect();
  const [found, ...others] = await readNamesakes(client, database.config);
  expect(others).toEqual([]);
  expect(found).toMatchObject({ owner: role, isTrusted: false });
  expect(found?.signature).toMatch(new RegExp(`^(public\\.)?${name}\\(`));
  expect(await findingsOf(database.config, 'privileges')).toContainEqual(
    expect.stringMatching(/^problem: Function .* calls meant for pgwatch may run it/),
  );
  await database.query(`alter function ${found?.signature} owner to postgres`);
  expect(await findingsOf(database.config, 'privileges')).toContainEqual(
    expect.stringMatching(/^note: Function/),
  );
  await database.query(`drop function ${found?.signature}`);
});

test('functions of another installation do not count as overloads', async () => {
  const client = await database.connect();
  await client.query('create schema api_b');
  const other = { ...database.config, schema: 'other', apiSchema: 'api_b' };
  await migrateUp(client, other);
  expect(await readNamesakes(client, other)).toEqual([]);
  expect(await readNamesakes(client, database.config)).toEqual([]);
});
