import { expect, test } from 'vitest';
import { captureTable, changesOf, shortChangesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { some } from '../helpers/whole.ts';

const database = useDatabase();

const MANY = 3000;

test('each row of a statement is a notification, with the row before and after', async () => {
  await captureTable(database, 'item', 'id int primary key, name text');
  await database.query(`insert into item values (1, 'a'), (2, 'b')`);
  await database.query(`update item set name = name || '!' where id = 2`);
  await database.query('delete from item');
  const changes = await changesOf(database, 'item');
  expect(
    changes.map(({ key, payload }) => [key, payload.action, payload.old_data, payload.new_data]),
  ).toEqual([
    ['public.item:1', 'INSERT', null, { id: 1, name: 'a' }],
    ['public.item:2', 'INSERT', null, { id: 2, name: 'b' }],
    ['public.item:2', 'UPDATE', { id: 2, name: 'b' }, { id: 2, name: 'b!' }],
    ['public.item:1', 'DELETE', { id: 1, name: 'a' }, null],
    ['public.item:2', 'DELETE', { id: 2, name: 'b!' }, null],
  ]);
});

test.each(some(['plain', 'with options']))(
  'old and new rows of a large UPDATE are paired, even with a plan made for one row (%s)',
  async (kind) => {
    const name = `pairs_${kind.replace(' ', '_')}`;
    const options = kind === 'plain' ? {} : { exclude: ['secret'] };
    await captureTable(database, name, 'id int primary key, n int, secret text', options);
    const client = await database.connect();
    await client.query(
      `insert into ${name} select n, n, 'x' from generate_series(1, ${MANY}) as n`,
    );
    for (let n = 1; n <= 7; n++) await client.query(`update ${name} set n = n where id = ${n}`);
    await client.query(`update ${name} set n = n + 1000000`);
    const { rows } = await client.query(
      `select count(*)::int as count, count(*) filter (
         where (payload #>> '{old_data,id}') = (payload ->> 'id')
           and (payload #>> '{new_data,n}')::int = (payload #>> '{old_data,n}')::int + 1000000)::int
             as right
       from pgwatch.notification where payload ->> 'table' = $1
         and payload ->> 'action' = 'UPDATE' and (payload #>> '{new_data,n}')::int > 1000000`,
      [name],
    );
    expect(rows).toEqual([{ count: MANY, right: MANY }]);
  },
);

test.each(some(['plain', 'with options']))(
  'keys that swap places within a statement end as in the table (%s)',
  async (kind) => {
    const name = `shift_${kind.replace(' ', '_')}`;
    const options = kind === 'plain' ? {} : { exclude: ['secret'] };
    const columns = 'id int primary key deferrable, name text, secret text';
    await captureTable(database, name, columns, options);
    await database.query(`insert into ${name} values (1, 'a'), (2, 'b'), (3, 'c')`);
    await database.query(`update ${name} set id = id % 3 + 1 where id < 3 or name = 'c'`);
    expect((await shortChangesOf(database, name)).slice(3)).toEqual([
      'DELETE 1',
      'DELETE 2',
      'DELETE 3',
      'INSERT 2',
      'INSERT 3',
      'INSERT 1',
    ]);
  },
);

test('a statement that changes nothing leaves no trace, not even an xid', async () => {
  await captureTable(database, 'still', 'id int primary key');
  const client = await database.connect();
  await client.query('begin');
  await client.query(
    'update still set id = 1; delete from still; insert into still select 1 where false',
  );
  const { rows } = await client.query('select pg_current_xact_id_if_assigned() as xid');
  await client.query('commit');
  expect(rows).toEqual([{ xid: null }]);
  expect(await changesOf(database, 'still')).toEqual([]);
});

test('columns: updates of other columns do not count, but those of the id do', async () => {
  const columns = 'id int primary key, email text, seen int, password text';
  await captureTable(database, 'chosen', columns, {
    columns: ['email', 'password'],
    exclude: ['password'],
  });
  await database.query(`insert into chosen values (1, 'a@x', 0, 'p'), (2, null, 0, 'p')`);
  await database.query('update chosen set seen = seen + 1');
  await database.query(`update chosen set email = 'b@x' where id = 2`);
  await database.query(`update chosen set password = 'q' where id = 1`);
  await database.query('update chosen set id = 3 where id = 1');
  await database.query('delete from chosen where id = 2');
  expect((await shortChangesOf(database, 'chosen')).slice(2)).toEqual([
    'UPDATE 2 email',
    'UPDATE 1 nothing',
    'DELETE 1',
    'INSERT 3',
    'DELETE 2',
  ]);
});

test.each(some(['statement', 'row'] as const))(
  'exclude: excluded columns are in no payload (for each %s)',
  async (forEach) => {
    const name = `excluding_${forEach}`;
    const columns = 'id int primary key, name text, password text, ssn text';
    await captureTable(database, name, columns, { exclude: ['password', 'ssn'], forEach });
    await database.query(`insert into ${name} values (1, 'a', 'CANARY', 'CANARY')`);
    await database.query(`update ${name} set password = 'CANARY2', name = 'b'`);
    await database.query(`update ${name} set id = 2`);
    await database.query(`delete from ${name}`);
    const changes = await changesOf(database, name);
    expect(changes.map(({ payload }) => payload.action)).toEqual([
      'INSERT',
      'UPDATE',
      'DELETE',
      'INSERT',
      'DELETE',
    ]);
    expect(changes[1]?.payload).toMatchObject({ changed: ['name'] });
    expect(JSON.stringify(changes)).not.toMatch(/CANARY|ssn/);
  },
);

test.each(some(['statement', 'row'] as const))(
  'payload: keys, and changed (for each %s)',
  async (forEach) => {
    const rows = async (payload: 'keys' | 'changed') => {
      const name = `payload_${payload}_${forEach}`;
      const columns = 'id int primary key, customer int, name text, note text';
      await captureTable(database, name, columns, { payload, key: ['customer'], forEach });
      await database.query(`insert into ${name} values (1, 7, 'a', 'n')`);
      await database.query(`update ${name} set name = 'b'`);
      await database.query(`delete from ${name}`);
      const changes = await changesOf(database, name);
      expect(new Set(changes.map(({ key }) => key))).toEqual(new Set([`public.${name}:7`]));
      expect(new Set(changes.map(({ payload: { id } }) => id))).toEqual(new Set([1]));
      return changes.map(({ payload: { old_data, new_data, changed } }) => [
        old_data,
        new_data,
        changed,
      ]);
    };
    const key = { id: 1, customer: 7 };
    expect(await rows('keys')).toEqual([
      [null, key, null],
      [key, key, []],
      [key, null, null],
    ]);
    expect(await rows('changed')).toEqual([
      [null, { ...key, name: 'a', note: 'n' }, null],
      [{ ...key, name: 'a' }, { ...key, name: 'b' }, ['name']],
      [{ ...key, name: 'b', note: 'n' }, null, null],
    ]);
  },
);

test('a large statement rings once, and only if a daemon sleeps', async () => {
  await captureTable(database, 'rung', 'id int primary key', { channel: 'rung' });
  const [sleeper, listener] = [await database.connect(), await database.connect()];
  const heard: (string | undefined)[] = [];
  listener.on('notification', ({ payload }) => heard.push(payload));
  await listener.query('listen pgwatch');
  await database.query('insert into rung select generate_series(1, 100)');
  await sleeper.query(`select pg_advisory_lock_shared(pgwatch.doorbell_class(), hashtext('rung'))`);
  await database.query('insert into rung select generate_series(101, 200)');
  await database.query('update rung set id = id + 1000');
  await database.query('set pgwatch.notify = off; delete from rung; reset pgwatch.notify');
  await listener.query('select 1');
  expect(heard).toEqual(['rung', 'rung']);
});

test('notify: the option takes precedence over the setting, except off', async () => {
  await captureTable(database, 'loud', 'id int primary key', { channel: 'loud', notify: 'always' });
  await captureTable(database, 'quiet', 'id int primary key', { channel: 'quiet', notify: 'off' });
  const client = await database.connect();
  const heard: string[] = [];
  client.on('notification', ({ payload }) => {
    const { data } = JSON.parse(payload ?? '') as { data: { id: number; action: string } };
    heard.push(`${data.action} ${data.id}`);
  });
  await client.query('listen loud; listen quiet');
  await client.query('insert into loud values (1), (2)');
  await client.query('update loud set id = 3 where id = 2');
  await client.query(`set pgwatch.notify = 'off'`);
  await client.query('insert into loud values (4)');
  await client.query(`set pgwatch.notify = 'always'`);
  await client.query('insert into quiet values (5)');
  await client.query('select 1');
  expect(heard).toEqual(['INSERT 1', 'INSERT 2', 'DELETE 2', 'INSERT 3']);
});

test('TRUNCATE, with its cascade, is captured for each table', async () => {
  await captureTable(database, 'parent', 'id int primary key');
  await captureTable(database, 'child', 'id int primary key, parent int references parent');
  await database.query('insert into parent values (1); insert into child values (1, 1)');
  await database.query('truncate parent cascade');
  for (const name of ['parent', 'child']) {
    const changes = await changesOf(database, name);
    expect(changes.at(-1)).toMatchObject({
      key: `public.${name}`,
      payload: { action: 'TRUNCATE', id: null, old_data: null, new_data: null },
    });
  }
});
