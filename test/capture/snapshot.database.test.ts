import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { beginSnapshot, copyBatch, type TableSnapshot } from '../../src/capture/snapshot.ts';
import { readCaptureStates } from '../../src/capture/state.ts';
import { patiently } from '../../src/database/patience.ts';
import type { Notification } from '../../src/log/notification.ts';
import { changesOf } from '../helpers/captured.ts';
import { startTailing } from '../helpers/daemon.ts';
import { type TestDatabase, useDatabase } from '../helpers/database.ts';
import { RebuiltTable } from '../helpers/rebuilt-table.ts';
import { createRole } from '../helpers/role.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';
import { seededRandom } from '../racing/random.ts';

const database = useDatabase();

/** A table with rows that existed before it was captured. */
async function filledTable(name: string, columns: string, fill: string, options = {}) {
  const client = await database.connect();
  await client.query(`create table ${name} (${columns})`);
  await client.query(`insert into ${name} ${fill}`);
  await createTrigger(client, name, options);
}

async function snapshotOf(
  name: string,
  consumerId: string,
  batchSize: number,
): Promise<TableSnapshot> {
  const client = await database.connect();
  const states = await readCaptureStates(client, database.config);
  const state = states.find(({ table }) => table.name === name.replaceAll('"', ''));
  if (!state) throw new Error(`${name} is not captured`);
  return { consumerId, table: state.table, batchSize };
}

/** Runs a snapshot to its end, or for a number of batches. */
async function run(
  snapshot: TableSnapshot,
  batchesMax = Number.POSITIVE_INFINITY,
  change = (text: string) => text,
) {
  const client = await database.connect();
  const query = client.query.bind(client) as (text: string, values?: unknown[]) => Promise<never>;
  client.query = ((text: string, values?: unknown[]) => query(change(text), values)) as never;
  let progress = await beginSnapshot(client, database.config, snapshot, false);
  for (let batch = 0; batch < batchesMax && !progress.isFinished; batch++) {
    const copied = await copyBatch(client, database.config, snapshot).catch((thrown) => {
      if (thrown.code !== '55P03') throw thrown;
      return progress;
    });
    if (copied) progress = copied;
  }
  return progress;
}

/** Consumers that record what they receive. */
async function listeners(consumers: Record<string, string[]>) {
  const got = new Map(Object.keys(consumers).map((id) => [id, [] as Notification[]]));
  const daemon = await startTailing(
    database.config,
    Object.entries(consumers).map(([id, channels]) => ({
      id,
      channels,
      from: 'now' as const,
      handle: (notification: Notification) => got.get(id)?.push(notification),
    })),
  );
  return { daemon, of: (id: string) => got.get(id) ?? [] };
}

test('a snapshot starts over if the table gets another primary key', async () => {
  const fill = `select n, 100 - n, 'n' || n from generate_series(1, 20) as n`;
  await filledTable('rekeyed', 'id int primary key, rank int not null, name text', fill);
  const snapshot = await snapshotOf('rekeyed', 'again', 5);
  expect(await run(snapshot, 2)).toEqual({ done: 10, isFinished: false });
  await database.query('alter table rekeyed drop constraint rekeyed_pkey, add primary key (rank)');
  await createTrigger(await database.connect(), 'rekeyed');
  expect(await run(await snapshotOf('rekeyed', 'again', 5))).toMatchObject({ done: 20 });
  const { rows } = await database.query(
    `select count(distinct new_row ->> 'id')::int as ids from pgwatch.notification_log
     where action = 'SNAPSHOT' and relation ->> 1 = 'rekeyed' and relation ->> 2 = 'rank'`,
  );
  expect(rows).toEqual([{ ids: 20 }]);
});

test('a snapshot starts over if the table was replaced by another of its name', async () => {
  const fill = `select n from generate_series(1, 20) as n`;
  await filledTable('replaced', 'id int primary key', fill);
  expect(await run(await snapshotOf('replaced', 'twice', 5), 2)).toMatchObject({ done: 10 });
  await database.query('drop table replaced');
  await filledTable('replaced', 'id int primary key', fill);
  expect(await run(await snapshotOf('replaced', 'twice', 5))).toMatchObject({ done: 20 });
});

test('a column that is excluded during a snapshot is in no later batch', async () => {
  const fill = `select n, 'CANARY' from generate_series(1, 20) as n`;
  await filledTable('exposed', 'id bigint primary key, password text', fill);
  const snapshot = await snapshotOf('exposed', 'late', 5);
  await run(snapshot, 1);
  const client = await database.connect();
  await createTrigger(client, 'exposed', { exclude: ['password'] });
  await run(snapshot, 2);
  const exposed = async () => {
    const { rows } = await database.query(
      `select count(*) filter (where new_row ? 'password')::int as exposed, count(*)::int as rows
       from pgwatch.notification_log where action = 'SNAPSHOT' and relation->>1 = 'exposed'`,
    );
    return rows[0];
  };
  expect(await exposed()).toEqual({ exposed: 5, rows: 15 });
  await client.query(`drop trigger "00_pgwatch_insert" on exposed;
    drop trigger "00_pgwatch_update" on exposed; drop trigger "00_pgwatch_delete" on exposed;
    drop trigger "00_pgwatch_truncate" on exposed`);
  await expect(run(snapshot, 1)).rejects.toThrow('public.exposed is not captured');
});

test('the consumer gets the rows as the capture shows them; others get nothing', async () => {
  const columns = 'id bigint primary key, name text, password text';
  const fill = `select n, 'n' || n, 'CANARY' from generate_series(1, 25) as n`;
  await filledTable('people', columns, fill, { exclude: ['password'], channel: 'people' });
  const { daemon, of } = await listeners({ wants: ['people'], other: ['people'] });
  expect(await run(await snapshotOf('people', 'wants', 10))).toEqual({
    done: 25,
    isFinished: true,
  });
  await database.query(`update people set name = 'new' where id = 7`);
  await until('all is there', () => of('wants').length === 26 && of('other').length === 1);
  await daemon.stop();
  const [first] = of('wants');
  expect(first).toMatchObject({
    channel: 'people',
    key: 'public.people:1',
    payload: {
      schema: 'public',
      table: 'people',
      action: 'SNAPSHOT',
      id: 1,
      old_data: null,
      new_data: { id: 1, name: 'n1' },
      changed: null,
    },
  });
  expect(first?.change).toMatchObject({ action: 'SNAPSHOT', new: { id: 1, name: 'n1' } });
  expect(of('wants').map(({ change }) => change?.id)).toEqual(
    [...Array(25).keys()].map((n) => n + 1).concat(7),
  );
  expect(JSON.stringify(of('wants'))).not.toContain('CANARY');
  const { rows } = await database.query(
    `select distinct channel from pgwatch.notification where payload ->> 'table' = 'people'`,
  );
  expect(rows).toEqual([{ channel: 'people' }]);
});

test('an interrupted snapshot resumes; a finished or restarted one begins again', async () => {
  await filledTable('resumed', 'id int primary key', 'select generate_series(1, 10)');
  const snapshot = await snapshotOf('resumed', 'wants', 3);
  expect(await run(snapshot, 2)).toEqual({ done: 6, isFinished: false });
  await database.query('insert into resumed values (11), (0)');
  expect(await run(snapshot)).toEqual({ done: 11, isFinished: true });
  const handed = await database.query(
    `select (payload ->> 'id')::int as id from pgwatch.notification
     where payload ->> 'table' = 'resumed' and payload ->> 'action' = 'SNAPSHOT' order by id`,
  );
  expect(handed.rows.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  expect(await run(snapshot, 1)).toEqual({ done: 3, isFinished: false });
  const client = await database.connect();
  expect(await beginSnapshot(client, database.config, snapshot, true)).toMatchObject({ done: 0 });
});

test.each([
  [
    'composite',
    'a int, b text, primary key (b, a)',
    `select n % 3, 'part "' || n from generate_series(1, 20) as n`,
  ],
  ['uuid', 'id uuid primary key', `select md5(n::text)::uuid from generate_series(1, 20) as n`],
  [
    'instant',
    'at timestamptz primary key',
    `select '2026-01-01 00:00:00.000001+05:45'::timestamptz + n * interval '1 us'
      from generate_series(1, 20) as n`,
  ],
  ['float', 'f float8 primary key', `select n / 10.0::float8 from generate_series(1, 20) as n`],
  [
    '"Odd name"',
    '"Key ""x""" text collate "C" primary key',
    `select chr(64 + n) || n from generate_series(1, 20) as n`,
  ],
  [
    'parted',
    'id int, at date, primary key (at, id)',
    `select n, date '2026-01-01' + n from generate_series(1, 20) as n`,
  ],
])('all rows arrive, each once, if the key is: %s', async (name, columns, fill) => {
  await filledTable(name, columns, fill);
  await setForAll('datestyle', 'SQL, DMY');
  expect(await run(await snapshotOf(name, 'wants', 3))).toEqual({ done: 20, isFinished: true });
  const { rows } = await database.query(
    `select count(*)::int as count, count(distinct key)::int as keys from pgwatch.notification
     where payload ->> 'table' = $1`,
    [name.replaceAll('"', '')],
  );
  expect(rows).toEqual([{ count: 20, keys: 20 }]);
});

test("rows are written as captured: characters replaced, other roles' casts unused", async () => {
  await filledTable(
    'odd',
    'id int primary key, j json, b bytea',
    `values (1, '{"a": "\\u0000"}', '\\xff')`,
  );
  await setForAll('bytea_output', 'escape');
  expect(await run(await snapshotOf('odd', 'wants', 10))).toMatchObject({ done: 1 });
  const [row] = await changesOf(database, 'odd');
  expect(row?.payload.new_data).toEqual({ id: 1, j: { a: '\ufffd' }, b: '\\xff' });
  const { name } = await createRole(database, 'typist');
  await database.query(`create type trap as enum ('a');
    create table trapped (id int primary key, trap trap);
    create function spring(trap) returns json language sql as $$ select '1'::json $$;
    create cast (trap as json) with function spring(trap);
    alter function spring(trap) owner to "${name}"; alter type trap owner to "${name}"`);
  await createTrigger(await database.connect(), 'trapped');
  await database.query(`insert into trapped values (1, 'a')`);
  await run(await snapshotOf('trapped', 'wants', 10));
  const trapped = await changesOf(database, 'trapped');
  expect(trapped.map(({ payload }) => payload.new_data)).toEqual([
    { id: 1, trap: 'a' },
    { id: 1, trap: 'a' },
  ]);
});

test('a snapshot of an inheritance parent has only its own rows', async () => {
  await filledTable('elder', 'id int primary key', 'values (1)');
  await database.query(`create table younger (extra text) inherits (elder);
    insert into younger values (2, 'x')`);
  expect(await run(await snapshotOf('elder', 'wants', 10))).toEqual({ done: 1, isFinished: true });
});

test('a snapshot waits for a row that is being changed, and has its new version', async () => {
  await filledTable('waited', 'id int primary key, name text', `values (1, 'old'), (2, 'old')`);
  const writer = await database.connect();
  await writer.query(`begin; update waited set name = 'new' where id = 2`);
  const running = run(await snapshotOf('waited', 'wants', 10));
  await until('it waits', () => isWaiting(database));
  await writer.query('commit');
  await running;
  expect(await handed('waited')).toEqual(['UPDATE 2 new', 'SNAPSHOT 1 old', 'SNAPSHOT 2 new']);
});

test('without the lock the old version would come after the change', async () => {
  await filledTable('unlocked', 'id int primary key, name text', `values (1, 'old'), (2, 'old')`);
  const writer = await database.connect();
  await writer.query(`begin; update unlocked set name = 'new' where id = 2`);
  const snapshot = await snapshotOf('unlocked', 'wants', 10);
  await run(snapshot, Number.POSITIVE_INFINITY, (text) => text.replace('for share', ''));
  await writer.query('commit');
  expect(await handed('unlocked')).toEqual(['UPDATE 2 new', 'SNAPSHOT 1 old', 'SNAPSHOT 2 old']);
});

test('a row whose key changes during the wait skips no other row', async () => {
  await filledTable(
    'moved',
    'id int primary key, name text',
    `select n, 'x' from generate_series(1, 6) as n`,
  );
  const writer = await database.connect();
  await writer.query('begin; update moved set id = 100 where id = 2');
  const running = run(await snapshotOf('moved', 'wants', 3));
  await until('it waits', () => isWaiting(database));
  await writer.query('commit');
  await running;
  const ids = (await handed('moved')).filter((text) => text.startsWith('SNAPSHOT'));
  expect(ids).toEqual([1, 3, 4, 5, 6, 100].map((id) => `SNAPSHOT ${id} x`));
});

test('with constant writes, the copy ends equal to the table', { timeout: 60_000 }, async () => {
  const fill = 'select n, 0 from generate_series(1, 600) as n';
  await filledTable('alive', 'id int primary key, n int', fill);
  const copy = new RebuiltTable({ isPartial: true });
  const daemon = await startTailing(database.config, [
    {
      id: 'copy',
      channels: ['data_change'],
      from: 'now',
      handle: ({ change }) => change && copy.apply(change),
    },
  ]);
  const random = seededRandom(7);
  const id = () => 1 + Math.floor(random() * 650);
  let isDone = false;
  const writer = async () => {
    const client = await database.connect();
    while (!isDone) {
      await client.query('begin');
      await client.query(
        `insert into alive values (${id()}, 1) on conflict (id) do update set n = alive.n + 1`,
      );
      await client.query(`update alive set n = n + 1 where id = ${id()}`).catch(() => {});
      await client.query(random() < 0.8 ? 'commit' : 'rollback');
      await client.query(`delete from alive where id = ${id()}`);
    }
  };
  const writers = [writer(), writer(), writer()];
  await run(await snapshotOf('alive', 'copy', 20));
  isDone = true;
  await Promise.all(writers);
  await until(
    'nothing differs',
    async () => (await copy.differences(database, 'alive')).length === 0,
  );
  await daemon.stop();
});

/** For every connection that begins from now on. */
async function setForAll(name: string, value: string): Promise<void> {
  await database.query(`do $$ begin execute format('alter database %I set ${name} = %L',
    current_database(), '${value}'); end $$`);
}

async function isWaiting({ query }: TestDatabase): Promise<boolean> {
  const { rowCount } = await query(
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      and query like '%for share%'
       and datname = current_database()`,
  );
  return rowCount === 1;
}

/** The log of a table, in short form. */
async function handed(table: string): Promise<string[]> {
  const { rows } = await database.query(
    `select payload ->> 'action' || ' ' || (payload ->> 'id') || ' ' ||
       (payload #>> '{new_data,name}') as text
     from pgwatch.notification
     where payload ->> 'table' = $1 and payload -> 'new_data' <> 'null' order by id`,
    [table],
  );
  return rows.map(({ text }) => text);
}

const REPLACED = 'renamed, moved, dropped or replaced since this began. Run it again.';

test.each(
  some<[change: string, message: string]>([
    ['rename to renamed', REPLACED],
    ['set schema moved', REPLACED],
    ['drop constraint changing_pkey', 'public.changing has no primary key'],
    ['drop column id', 'public.changing has no primary key'],
  ]),
)(
  'a snapshot of a table that changes meanwhile says what is wrong: %s',
  async (change, message) => {
    const fill = `select n, 'n' || n from generate_series(1, 20) as n`;
    await filledTable('changing', 'id int primary key, name text', fill);
    const snapshot = await snapshotOf('changing', 'changes', 5);
    await run(snapshot, 2);
    await database.query(`create schema if not exists moved; alter table changing ${change}`);
    await expect(run(snapshot)).rejects.toThrow(message);
    await database.query(`drop table if exists changing, renamed, moved.changing;
    delete from pgwatch.snapshot where table_name = 'changing'`);
  },
);

test.each(
  some<[change: string, key: string, id: unknown]>([
    ['rename id to number', 'public.changing:7', 7],
    [`add column doc json default '"\\u0000"'`, 'public.changing:7', 7],
    ['drop constraint changing_pkey, add primary key (name, id)', 'public.changing:["n7", 7]', 7],
  ]),
)('a snapshot follows the table that it reads: %s', async (change, key, id) => {
  const fill = `select n, 'n' || n from generate_series(1, 20) as n`;
  await filledTable('changing', 'id int primary key, name text not null', fill);
  const snapshot = await snapshotOf('changing', 'follows', 5);
  await run(snapshot, 1);
  await database.query(`alter table changing ${change}`);
  await createTrigger(await database.connect(), 'changing');
  await run(snapshot);
  const { rows } = await database.query(
    `select key, coalesce(new_row ->> 'id', new_row ->> 'number')::int as id
     from pgwatch.notification_log as log
     where channel = 'consumer:follows' and coalesce(new_row ->> 'id', new_row ->> 'number') = '7'
     order by log.id desc limit 1`,
  );
  expect(rows[0]).toEqual({ key, id });
  await database.query(`drop table changing;
    delete from pgwatch.snapshot where table_name = 'changing'`);
});

/** Triggers for the table manual, as people write them. */
const manual = (name: string, when: string, args: string, each = 'row') =>
  `create trigger ${name} after ${when} on manual for each ${each}
     execute function notify_data_change(${args});`;

test('a snapshot publishes rows like manually created triggers do', async () => {
  await database.query(`
    create table manual (id int primary key, email text, secret text);
    insert into manual values (1, 'a', 'CANARY'), (2, 'b', 'CANARY');
    ${manual('a', 'truncate', `'elsewhere'`, 'statement')}
    ${manual('b', 'insert or delete', `'people', '{"id": ["email"], "table": ["app", "people"]}'`)}
    ${manual('c', 'update', `'people', '{"exclude": ["secret"]}'`)}`);
  await run(await snapshotOf('manual', 'follows', 10));
  await database.query(`insert into manual values (3, 'c', 'x')`);
  const { rows } = await database.query(
    `select key, relation, coalesce(metadata ->> 'channel', channel) as channel, new_row
     from pgwatch.notification_log where new_row ? 'email' order by id desc limit 2`,
  );
  const same = { channel: 'people', relation: ['app', 'people', 'email'] };
  expect(rows).toEqual([
    { ...same, key: 'app.people:c', new_row: { id: 3, email: 'c', secret: 'x' } },
    // What any of them excludes stays out of it.
    { ...same, key: 'app.people:b', new_row: { id: 2, email: 'b' } },
  ]);
});

test('a snapshot follows the trigger whose channel the consumer reads, or refuses', async () => {
  await database.query(`drop table if exists manual;
    create table manual (id int primary key, secret text); insert into manual values (1, 'CANARY');
    ${manual('a', 'insert', `'all'`)} ${manual('b', 'insert', `'some', '{"payload": "keys"}'`)}
    insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot)
    values ('some', '{some}', 0, '1:1:'), ('both', '{all,some}', 0, '1:1:')`);
  await run(await snapshotOf('manual', 'some', 10));
  const { rows } = await database.query(
    `select metadata ->> 'channel' as channel, new_row from pgwatch.notification_log
     where channel = 'consumer:some'`,
  );
  expect(rows).toEqual([{ channel: 'some', new_row: { id: 1 } }]);
  await expect(run(await snapshotOf('manual', 'both', 10))).rejects.toThrow(
    'The triggers "a", "b" publish rows of public.manual in different ways',
  );
  await database.query(`drop table manual;
    delete from pgwatch.consumer_progress where consumer_id in ('some', 'both')`);
});

test('a snapshot goes on if a row that it waits for is moved to another partition', async () => {
  await database.query(`create table moving (id int primary key, name text)
      partition by range (id);
    create table moving_a partition of moving for values from (0) to (100);
    create table moving_b partition of moving for values from (100) to (200);
    insert into moving select n, 'n' from generate_series(1, 3) as n`);
  const client = await database.connect();
  await createTrigger(client, 'moving');
  const snapshot = await snapshotOf('moving', 'moves', 10);
  await beginSnapshot(client, database.config, snapshot, false);
  const writer = await database.connect();
  await writer.query('begin; update moving set id = 102 where id = 2');
  const codes: unknown[] = [];
  const copying = patiently(
    () =>
      copyBatch(client, database.config, snapshot).catch((thrown) => {
        codes.push(thrown.code);
        throw thrown;
      }),
    async () => {},
    { patienceMs: 10_000, signal: new AbortController().signal },
  );
  await until('it waits for the row', async () => {
    const { rows } = await database.query(
      `select from pg_stat_activity where wait_event_type = 'Lock'
       and query like '%SNAPSHOT%' and datname = current_database()`,
    );
    return rows.length === 1;
  });
  await writer.query('commit');
  expect(await copying).toMatchObject({ done: 3 });
  expect(codes.at(-1)).toBe('40001');
});
