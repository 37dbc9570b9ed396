import type { Client } from 'pg';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import type { TriggerOptions } from '../../src/config/triggers.ts';
import { errorCodeOf } from '../../src/errors.ts';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: serializable writers of different rows do not abort each other because of what capture or
publishing reads.
Method: two of them run concurrently, each on a row of its own.
*/

const database = useDatabase();
let writers: [Client, Client];

beforeAll(async () => {
  writers = [await database.connect(), await database.connect()];
  // A scan of the whole table would read the other's row, with or without capture.
  for (const writer of writers) await writer.query('set enable_seqscan = off');
});
beforeEach(async () => {
  await database.query(`drop table if exists t;
    create table t (id int primary key, n int default 0);
    insert into t select generate_series(1, 2000); analyze t`);
});

/** Both begin, both write, both commit. Returns the error codes of those that were aborted. */
async function writeSideBySide(statement: (id: number) => string): Promise<unknown[]> {
  const codes: unknown[] = [];
  const each = (work: (writer: Client, index: number) => Promise<unknown>) =>
    Promise.all(
      writers.map((writer, index) => work(writer, index).catch((thrown) => codes.push(thrown))),
    );
  await each((writer) =>
    writer.query('begin isolation level serializable; select 1 from t where id = 1000'),
  );
  for (const [index, writer] of writers.entries()) {
    await writer.query(statement(1 + index * 1900)).catch((thrown) => codes.push(thrown));
  }
  for (const writer of writers) await writer.query('commit').catch((thrown) => codes.push(thrown));
  await each((writer) => writer.query('rollback'));
  return codes.map(errorCodeOf);
}

const UPDATE = (id: number) => `update t set n = n + 1 where id = ${id}`;

const CAPTURES: [TriggerOptions][] = [
  [{}],
  [{ notify: 'always' }],
  [{ forEach: 'row' }],
  [{ forEach: 'row', notify: 'always' }],
];

test.each(CAPTURES)('writers of a captured table do not conflict: %j', async (options) => {
  await createTrigger(writers[0], 't', options);
  expect(await writeSideBySide(UPDATE)).toEqual([]);
  expect(await writeSideBySide((id) => `insert into t values (${-id})`)).toEqual([]);
  expect(await writeSideBySide((id) => `delete from t where id = ${id}`)).toEqual([]);
});

const PUBLISH: [name: string, statement: (id: number) => string][] = [
  ['one', (id) => `select smart_notify('c', '${id}', 'k${id}')`],
  ['one with an event id', (id) => `select smart_notify('c', '${id}', null, gen_random_uuid())`],
  ['many', (id) => `select smart_notify_many('{c}', '{${id}}', '{k}', '{null}')`],
];

test.each(PUBLISH)('publishers do not conflict: %s', async (_, statement) => {
  expect(await writeSideBySide(statement)).toEqual([]);
  const always = (id: number) => `set local pgwatch.notify = 'always'; ${statement(id)}`;
  expect(await writeSideBySide(always)).toEqual([]);
});

test('an announcement that reads the log would cause a conflict', async () => {
  await createTrigger(writers[0], 't');
  await database.query(`
    create function reads() returns trigger language plpgsql as $$ begin
      perform from pgwatch.notification_log where id = new.id - 1;
      return null;
    end $$;
    create trigger reads after insert on pgwatch.notification_log for each row
      execute function reads()`);
  expect(await writeSideBySide(UPDATE)).toEqual(['40001']);
  await database.query('drop function reads cascade');
});
