import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { changesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: once a key column is renamed, changes have the key that the table has now, although the
triggers name the old one; an UPDATE of the key still becomes a DELETE and an INSERT.
*/

const database = useDatabase();

const WAYS = (['row', 'statement'] as const).flatMap((forEach) =>
  [{}, { exclude: ['note'] }, { payload: 'keys' as const }, { payload: 'changed' as const }].map(
    (more) => ({ forEach, ...more }),
  ),
);

const short = async () =>
  (await changesOf(database, 'renamed')).map(({ key, payload }) => [
    payload.action,
    key,
    payload.id,
  ]);

test.each(some(WAYS))('in read committed: %j', async (options) => {
  await database.query(`drop table if exists renamed; truncate pgwatch.notification_log;
    create table renamed (id int primary key, note text)`);
  await createTrigger(await database.connect(), 'renamed', options);
  await database.query(`insert into renamed values (1, 'a');
    alter table renamed rename id to number;
    update renamed set note = 'b'; update renamed set number = 2; delete from renamed`);
  expect(await short()).toEqual([
    ['INSERT', 'public.renamed:1', 1],
    ['UPDATE', 'public.renamed:1', 1],
    ['DELETE', 'public.renamed:1', 1],
    ['INSERT', 'public.renamed:2', 2],
    ['DELETE', 'public.renamed:2', 2],
  ]);
});

test.each(some(WAYS))('a composite key: %j', async (options) => {
  await database.query(`drop table if exists renamed; truncate pgwatch.notification_log;
    create table renamed (a int, b int, note text, primary key (a, b))`);
  await createTrigger(await database.connect(), 'renamed', options);
  await database.query(`insert into renamed values (1, 2, 'a');
    alter table renamed rename a to c; update renamed set c = 3`);
  expect(await short()).toEqual([
    ['INSERT', 'public.renamed:[1, 2]', { a: 1, b: 2 }],
    ['DELETE', 'public.renamed:[1, 2]', { b: 2, c: 1 }],
    ['INSERT', 'public.renamed:[3, 2]', { b: 2, c: 3 }],
  ]);
});

test.each(some(WAYS))(
  'in a transaction with an older snapshot the write is refused: %j',
  async (options) => {
    await database.query(`drop table if exists renamed; truncate pgwatch.notification_log;
      create table renamed (id int primary key, note text); insert into renamed values (1, 'a')`);
    await createTrigger(await database.connect(), 'renamed', options);
    const writer = await database.connect();
    await writer.query('begin isolation level repeatable read; select');
    await database.query('alter table renamed rename id to number');
    await expect(writer.query(`update renamed set note = 'b'`)).rejects.toMatchObject({
      code: '40001',
    });
    await writer.query(`rollback; begin isolation level repeatable read;
      update renamed set note = 'b'; commit`);
    expect(await short()).toEqual([['UPDATE', 'public.renamed:1', 1]]);
  },
);
