import { beforeEach, expect, test } from 'vitest';
import type { Queryable } from '../../src/database/connect.ts';
import { conditionOf, type LogFilter } from '../../src/log/log-filter.ts';
import { LogNotification } from '../../src/log/notification.ts';
import { isStillThere, type ReadFrom, readPages, readStart } from '../../src/log/reading.ts';
import { captureTable } from '../helpers/captured.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';
import { describeVerdict, judge } from '../racing/history.ts';
import { chooseSeed } from '../racing/random.ts';
import { raceWriters } from '../racing/writers.ts';

/*
Goal: a reader without a position misses nothing committed while it follows, and leaves nothing
behind.
Method: transactions are held open while others commit with higher ids. A reader that remembers the
last id runs alongside, and must miss them.
*/

const database = useDatabase();
const EVERYTHING: LogFilter = { channels: null, key: null, actions: null, tables: null };

beforeEach(() => emptyLog(database));

async function publish(n: number, client: Queryable = database.pool, channel = 'ch') {
  await client.query('select smart_notify($1, to_jsonb($2::int), $3)', [channel, n, `k${n % 2}`]);
}

type Reader = { seen: unknown[]; stop(): Promise<void> };

/** Reads into a list until it is stopped, or to the end. */
async function read(
  from: ReadFrom,
  { filter = EVERYTHING, mode = 'follow' as 'follow' | 'once' } = {},
): Promise<Reader & { ended: Promise<void> }> {
  const client = await database.connect();
  const condition = conditionOf(filter);
  const position = await readStart(client, 'pgwatch', from, condition);
  const seen: unknown[] = [];
  const controller = new AbortController();
  const { signal } = controller;
  const run = async () => {
    const options = { schema: 'pgwatch', condition, rebasedId: 0, position, mode, signal };
    for await (const { rows } of readPages(client, options)) {
      for (const row of rows) {
        seen.push(new LogNotification(row, { isReplay: false, attempt: 1 }).payload);
      }
    }
  };
  const ended = run();
  const stop = async () => {
    controller.abort();
    await ended;
  };
  return { seen, stop, ended };
}

/** The obvious but wrong way: everything after the last id. */
async function readBehindLastId(): Promise<Reader> {
  const client = await database.connect();
  const seen: unknown[] = [];
  let [lastId, isStopped] = ['0', false];
  const run = async () => {
    while (!isStopped) {
      const { rows } = await client.query(
        'select id::text, payload from pgwatch.notification where id > $1 order by id',
        [lastId],
      );
      seen.push(...rows.map(({ payload }) => payload));
      lastId = rows.at(-1)?.id ?? lastId;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const ended = run();
  const stop = () => {
    isStopped = true;
    return ended;
  };
  return { seen, stop };
}

test('late commits with a lower id are shown, and rolled back ones are not', async () => {
  const [held, aborted] = [await database.connect(), await database.connect()];
  for (const client of [held, aborted]) await client.query('begin');
  // One has its xid before the reader starts, the other writes first during the reading.
  await held.query('select pg_current_xact_id()');
  const reader = await read('now');
  const wrong = await readBehindLastId();
  await publish(1, held);
  await publish(99, aborted);
  await publish(2);
  for (const { seen } of [reader, wrong]) await until('2 is seen', () => seen.includes(2));
  await held.query('commit');
  await aborted.query('rollback');
  await publish(3);
  for (const { seen } of [reader, wrong]) await until('3 is seen', () => seen.includes(3));
  await Promise.all([reader.stop(), wrong.stop()]);
  expect([...reader.seen].sort()).toEqual([1, 2, 3]);
  expect(wrong.seen).toEqual([2, 3]);
});

test('with racing writers nothing is lost, shown twice, or shown if rolled back', async () => {
  const reader = await read('now', { filter: { ...EVERYTHING, channels: ['race'] } });
  const stop = AbortSignal.timeout(1500);
  const seed = chooseSeed('reading race');
  const options = { url: database.url, channel: 'race', count: 12, seed, stop };
  const attempts = await raceWriters(options);
  await publish(-1, database.pool, 'race');
  await until('the last one is seen', () => reader.seen.includes(-1));
  await reader.stop();
  const verdict = judge(
    attempts,
    reader.seen.filter((each) => typeof each === 'string'),
  );
  console.log(describeVerdict('reading', verdict));
  expect(verdict.committed).toBeGreaterThan(50);
  expect(verdict).toMatchObject({ lost: [], phantom: [], duplicates: 0, inversions: [] });
});

test('reading saves nothing, and holds no transaction open while it waits', async () => {
  await publish(1);
  const reader = await read('start');
  await until('1 is seen', () => reader.seen.length === 1);
  await until('it waits', async () => {
    const { rows } = await database.query(
      `select state, backend_xmin from pg_stat_activity where datname = current_database()
       and query like '%notification_log%' and pid <> pg_backend_pid()`,
    );
    return rows.some(({ state, backend_xmin: xmin }) => state === 'idle' && xmin === null);
  });
  await reader.stop();
  const { rows } = await database.query('select from pgwatch.consumer_progress');
  expect(rows).toEqual([]);
});

test.each<[ReadFrom, number[]]>([
  ['start', [1, 2, 3, 4, 5]],
  ['now', []],
  [{ last: 2 }, [4, 5]],
  [{ last: 9 }, [1, 2, 3, 4, 5]],
])('reading from %j starts at the right place', async (from, expected) => {
  for (const n of [1, 2, 3, 4, 5]) await publish(n);
  const { seen, ended } = await read(from, { mode: 'once' });
  await ended;
  expect(seen).toEqual(expected);
});

test('reading starts at an id, at a future id, or at a time', async () => {
  for (const n of [1, 2, 3]) await publish(n);
  const { rows } = await database.query('select id::float8, created_at from pgwatch.notification');
  const places: [ReadFrom, number[]][] = [
    [{ id: rows[1].id }, [2, 3]],
    [{ id: rows[2].id + 100 }, []],
    [{ time: new Date(0) }, [1, 2, 3]],
    [{ time: new Date(Date.now() + 60_000) }, []],
  ];
  for (const [from, expected] of places) {
    const { seen, ended } = await read(from, { mode: 'once' });
    await ended;
    expect(seen).toEqual(expected);
  }
  const ahead = await read({ id: rows[2].id + 100 });
  await publish(4);
  await until('4 is seen', () => ahead.seen.includes(4));
  await ahead.stop();
});

test('a server behind the position is another one, or was reset', async () => {
  await publish(1);
  const client = await database.connect();
  const position = await readStart(client, 'pgwatch', 'now', conditionOf(EVERYTHING));
  const isThere = (change: object) => isStillThere(client, 'pgwatch', { ...position, ...change });
  await emptyLog(database);
  expect(await isThere({})).toBe(true);
  expect(await isThere({ doneId: position.doneId + 1000 })).toBe(false);
  expect(await isThere({ doneSnapshot: '1:99999999:' })).toBe(false);
});

test('a filter passes only what matches all its conditions', async () => {
  await captureTable(database, '"Things"', 'id int primary key');
  await database.query('create schema other');
  await captureTable(database, 'other."Things"', 'id int primary key');
  await publishRange(database, 1, 2000, { channel: 'noise' });
  await database.query('insert into "Things" values (7)');
  await database.query('insert into other."Things" values (8)');
  await database.query('delete from other."Things"');
  await publish(1, database.pool, 'a');
  await publish(2, database.pool, 'b');
  const shown = async (filter: Partial<LogFilter>, from: ReadFrom = 'start') => {
    const { seen, ended } = await read(from, {
      filter: { ...EVERYTHING, ...filter },
      mode: 'once',
    });
    await ended;
    return seen.map((each) => (each as { id?: unknown }).id ?? each);
  };
  expect(await shown({ channels: ['a', 'b'] })).toEqual([1, 2]);
  expect(await shown({ channels: ['a', 'b'], key: 'k0' })).toEqual([2]);
  expect(await shown({ tables: [{ schema: null, name: 'Things' }] })).toEqual([7, 8, 8]);
  expect(await shown({ tables: [{ schema: 'other', name: 'Things' }] })).toEqual([8, 8]);
  expect(await shown({ tables: [{ schema: 'public', name: 'Things' }] })).toEqual([7]);
  expect(await shown({ actions: ['INSERT'] })).toEqual([7, 8]);
  expect(await shown({ actions: ['INSERT'] }, { last: 1 })).toEqual([8]);
  expect(await shown({ channels: ['noise'] })).toHaveLength(2000);
});
