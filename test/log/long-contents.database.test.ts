import type { ClientBase } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Pool } from '../../src/database/pool.ts';
import { readDue, readLeasedDeliveries, readRows } from '../../src/log/deliveries/due.ts';
import { type LogRow, safeId } from '../../src/log/notification.ts';
import { type Page, pageReader } from '../../src/log/page.ts';
import type { Position, Snapshot } from '../../src/log/positions/position.ts';
import { streamPages } from '../../src/log/stream.ts';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: rows of a few bytes whose text takes megabytes are never read together in larger numbers than
fit into memory, and all of them arrive, complete and in order.
Method: forty rows of 1.2 MB each, stored in about 200 bytes, among short ones; the limit is four
megabytes.
*/

const database = useDatabase();
const LIMIT = { rows: 100, bytes: 4_000_000 };
const LENGTH = 1_200_000;
let pool: Pool;
let ids: number[];

beforeAll(() => {
  pool = new Pool({ url: database.url, size: 2, applicationName: 'long' });
});
afterAll(() => pool.close());

beforeEach(async () => {
  await database.query('truncate pgwatch.notification_log; truncate pgwatch.delivery');
  const { rows } = await database.query(
    `insert into pgwatch.notification_log (xid, channel, payload, action, relation, new_row)
     select pg_current_xact_id(), 'c', case n % 2 when 1 then to_jsonb(n) end,
       case n % 2 when 0 then 'INSERT' end, '["public", "t"]',
       case n % 2 when 0 then ('{"v": [' || repeat('1e100000, ', 11) || n || ']}')::jsonb end
     from generate_series(1, 80) as n returning id::float8 as id`,
  );
  ids = rows.map(({ id }) => id);
});

const START: Position = {
  doneId: 0,
  doneSnapshot: '1:1:' as Snapshot,
  doneXid: null,
  window: null,
};

function requireWhole(rows: readonly LogRow[]): void {
  expect(rows.map((row) => safeId(row[0]))).toEqual(ids);
  for (const [index, row] of rows.entries()) {
    const n = index + 1;
    if (n % 2 === 1) expect(row[5]).toBe(String(n));
    else expect(row[9]?.slice(-5)).toBe(`, ${n}]}`.slice(-5));
    if (n % 2 === 0) expect(row[9]?.length).toBeGreaterThan(1_100_000);
  }
}

function requireSmall(pages: readonly Page[]): void {
  expect(Math.max(...pages.map(({ bytes }) => bytes))).toBeLessThan(LIMIT.bytes + LENGTH);
  for (const [index, page] of pages.slice(1).entries())
    expect(page.before).toEqual(pages[index]?.after);
  expect(pages.at(-1)?.after.window).toBeNull();
}

test('a page ends before it holds more of them than its byte limit allows', async () => {
  const readPage = pageReader('pgwatch');
  const pages: Page[] = [];
  for (let position = START, hasMore = true; hasMore; ) {
    const request = { position, channels: ['c'], limit: LIMIT, rebasedId: 0 };
    const page = await readPage(database.pool as unknown as ClientBase, request);
    pages.push(page);
    ({ hasMore, after: position } = page);
  }
  requireSmall(pages);
  requireWhole(pages.flatMap(({ rows }) => rows));
});

test('a page of a replay does so, too', async () => {
  const { rows } = await database.query('select pg_current_snapshot()::text as snapshot');
  const window = { snapshot: rows[0].snapshot, endId: ids.at(-1) as number, id: 0, xid: null };
  const options = { pool, schema: 'pgwatch', channels: ['c'], limit: LIMIT, rebasedId: 0 };
  const pages: Page[] = [];
  for await (const page of streamPages(options, { ...START, window })) pages.push(page);
  requireSmall(pages);
  requireWhole(pages.flatMap((page) => page.rows));
});

test('the first due retries are read first, and the rest once these are done', async () => {
  await database.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state, next_attempt_at)
     select 'c', id, 'retry', now() from unnest($1::bigint[]) as id`,
    [ids],
  );
  const found: LogRow[] = [];
  const client = database.pool as unknown as ClientBase;
  for (;;) {
    const workingIds = found.map((row) => safeId(row[0]));
    const scope = { consumerId: 'c', isOrdered: false, isStopping: false, workingIds };
    const due = await readDue(client, 'pgwatch', [scope]);
    if (due.length === 0) break;
    const bytes = due.reduce((sum, { row }) => sum + (row?.[9]?.length ?? 0), 0);
    expect(bytes).toBeLessThan(16_800_000 + LENGTH);
    found.push(...due.map(({ row }) => row as LogRow));
  }
  requireWhole(found);
});

test('reading by id returns them in full, even from the copy of a dead letter', async () => {
  const client = database.pool as unknown as ClientBase;
  requireWhole(
    (await readRows(client, 'pgwatch', ids)).sort((a, b) => Number(a[0]) - Number(b[0])),
  );
  await database.query(
    `insert into pgwatch.delivery
       (consumer_id, notification_id, state, next_attempt_at, notification,
       payload, new_row)
     select 'c', log.id, 'retry', now(), pgwatch.delivery_notification(log), payload, new_row
     from pgwatch.notification_log as log`,
  );
  await database.query('truncate pgwatch.notification_log');
  const scope = { consumerId: 'c', isOrdered: true, isStopping: false };
  const due = await readLeasedDeliveries(client, 'pgwatch', scope, ids);
  requireWhole(due.map(({ row }) => row as LogRow));
});
