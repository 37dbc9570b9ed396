import { expect, test } from 'vitest';
import { type Expected, expectedOf } from '../../src/database/expected.ts';
import { readMigrations } from '../../src/database/migrations.ts';

const NAMES = { schema: 'own', apiSchema: 'api' };

const later = (sql: string): Expected =>
  expectedOf(NAMES, [...readMigrations(), { number: 900, sql }]);

test('every trigger of the migrations is expected, with its events', () => {
  const { triggers } = expectedOf(NAMES, readMigrations());
  const count = readMigrations()
    .map(({ sql }) => sql.match(/^create trigger /gm)?.length ?? 0)
    .reduce((sum, each) => sum + each, 0);
  expect(triggers).toHaveLength(count);
  expect(triggers.map(({ name, table, type }) => [name, table, type])).toEqual(
    expect.arrayContaining([
      ['consumer_channel_first', 'consumer_progress', 1 + 4],
      ['consumer_channel_change', 'consumer_progress', 1 + 16],
      ['log_keep_ids_before', 'notification_log', 2 + 32],
      ['log_keep_ids_after', 'notification_log', 32],
    ]),
  );
});

test('a function that a later migration replaces is expected in its new form', () => {
  const { functions } = later(`create or replace function :"schema".log_keep_ids()
returns trigger
language plpgsql
as $$begin return new; end$$;`);
  const found = functions.filter(({ name }) => name === 'log_keep_ids');
  expect(found).toMatchObject([
    { schema: 'own', body: 'begin return new; end', migration: 900, isDefiner: false },
  ]);
  // Migrations between the two may need the earlier form.
  expect(found[0]?.earlier.map(({ migration }) => migration)).toEqual([5]);
});

test('a function with other parameters is another function', () => {
  const { functions } =
    later(`create or replace function :"schema".log_keep_ids(a integer default 1)
returns trigger
language plpgsql
as $$begin return new; end$$;`);
  expect(functions.filter(({ name }) => name === 'log_keep_ids')).toHaveLength(2);
});

test('triggers and views of a later migration count; the last of a name wins', () => {
  const { triggers, views } = later(`create or replace trigger log_keep_ids_after
after insert or update of id, xid or truncate on :"schema".notification_log
for each row execute function :"schema".log_keep_ids();
create trigger brand_new before delete on :"schema".lease
for each statement execute function :"schema".log_keep_ids();
create or replace view :"schema".origin as select 1 as one;`);
  expect(triggers.filter(({ migration }) => migration === 900)).toMatchObject([
    { name: 'log_keep_ids_after', type: 1 + 4 + 16 + 32 },
    { name: 'brand_new', table: 'lease', type: 2 + 8 },
  ]);
  expect(triggers.filter(({ name }) => name === 'log_keep_ids_after')).toHaveLength(1);
  expect(views.filter(({ name }) => name === 'origin')).toMatchObject([{ migration: 900 }]);
});
