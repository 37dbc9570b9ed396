import { Client, type ClientBase, type PoolClient } from 'pg';
import { beforeEach, describe, expect, test } from 'vitest';
import { Pool } from '../../src/database/pool.ts';
import { type PageRequest, pageReader, positionAt } from '../../src/log/page.ts';
import { LOG_PLANS } from '../../src/log/plans.ts';
import { readNewestPosition } from '../../src/log/positions/beginning.ts';
import type { Position, Snapshot } from '../../src/log/positions/position.ts';
import { streamPages } from '../../src/log/stream.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import { publish, publishRange } from '../helpers/publish.ts';

/*
Goal: each way in which a commit can come late, or a page end, step by step. The test uses its own
server, because positions depend on the transactions that run anywhere in the cluster.
*/

const database = useIsolatedServer({ max_prepared_transactions: '5' });
const readPage = pageReader('pgwatch');
const START: Position = {
  doneId: 0,
  doneSnapshot: '1:1:' as Snapshot,
  doneXid: null,
  window: null,
};

beforeEach(async () => {
  await database.query('truncate pgwatch.notification_log restart identity');
});

function read(position: Position, change: Partial<PageRequest> = {}) {
  const limit = { rows: 10, bytes: 1e6 };
  return readPage(database.pool as unknown as ClientBase, {
    position,
    channels: ['c'],
    limit,
    rebasedId: 0,
    ...change,
  });
}

const payloads = (page: Awaited<ReturnType<typeof read>>) =>
  page.rows.map((row) => JSON.parse(row[5] ?? ''));

describe('a late commit', () => {
  test('with a lower id than the settled ones is delivered', async () => {
    const late = await database.connect();
    await late.query('begin');
    await publish(late, 'late');
    await publish(database, 'early');
    const first = await read(START);
    expect(payloads(first)).toEqual(['early']);
    await late.query('commit');
    const second = await read(first.after);
    expect(payloads(second)).toEqual(['late']);
    expect(payloads(await read(second.after))).toEqual([]);
  });

  test('of a transaction newer than every one that had ended is delivered', async () => {
    const [older, newer] = [await database.connect(), await database.connect()];
    await older.query('begin; select pg_current_xact_id()');
    await newer.query('begin');
    await publish(newer, 'late');
    await publish(older, 'early');
    await older.query('commit');
    const first = await read(START);
    expect(payloads(first)).toEqual(['early']);
    expect(first.after.doneSnapshot).toMatch(/:$/);
    await newer.query('commit');
    expect(payloads(await read(first.after))).toEqual(['late']);
  });

  test('into an open window waits for the next one, and is not delivered twice', async () => {
    const late = await database.connect();
    await late.query('begin');
    await publish(late, 'late');
    for (let n = 1; n <= 5; n++) await publish(database, n);
    const limit = { rows: 2, bytes: 1e6 };
    const first = await read(START, { limit });
    await late.query('commit');
    const second = await read(first.after, { limit });
    const third = await read(second.after, { limit });
    expect([first, second, third].flatMap(payloads)).toEqual([1, 2, 3, 4, 5]);
    expect(third.hasMore).toBe(false);
    expect(payloads(await read(third.after))).toEqual(['late']);
  });

  test('with a savepoint is identified by its top-level transaction', async () => {
    const late = await database.connect();
    await late.query('begin; savepoint a');
    await publish(late, 'inner');
    await late.query('release savepoint a');
    await publish(database, 'early');
    const first = await read(START);
    await late.query('commit');
    expect(payloads(await read(first.after))).toEqual(['inner']);
  });

  test('of one transaction with 3,000 notifications is read page by page, in order', async () => {
    const late = await database.connect();
    await late.query('begin');
    await publishRange(late, 1, 3000);
    await publish(database, 'early');
    let { after } = await read(START);
    await late.query('commit');
    const seen: unknown[] = [];
    for (let hasMore = true; hasMore; ) {
      const page = await read(after, { limit: { rows: 500, bytes: 1e6 } });
      seen.push(...payloads(page));
      ({ after, hasMore } = page);
    }
    expect(seen).toEqual(Array.from({ length: 3000 }, (_, i) => i + 1));
  });
});

test('an open transaction, even in another database or prepared, delays nothing', async () => {
  const open = await database.connect();
  await open.query('begin');
  await publish(open, 'open');
  const prepared = await database.connect();
  await prepared.query(`begin; set local pgwatch.notify = off`);
  await publish(prepared, 'prepared');
  await prepared.query(`prepare transaction 'forgotten'`);
  await database.query('create database elsewhere');
  const url = new URL(database.url);
  url.pathname = '/elsewhere';
  const elsewhere = new Client({ connectionString: url.href });
  await elsewhere.connect();
  await elsewhere.query('begin; select pg_current_xact_id()');

  let { after } = await read(START);
  for (let n = 1; n <= 5; n++) {
    await publish(database, n);
    const page = await read(after);
    expect(payloads(page)).toEqual([n]);
    ({ after } = page);
  }
  await elsewhere.end();
  await open.query('commit');
  await prepared.query(`commit prepared 'forgotten'`);
  expect(payloads(await read(after))).toEqual(['open', 'prepared']);
});

test('an empty page leaves the position as it is', async () => {
  await publish(database, 1);
  const { after } = await read(START);
  expect((await read(after)).after).toBe(after);
});

test('a position inside a page settles exactly what comes before it', async () => {
  for (let n = 1; n <= 6; n++) await publish(database, n);
  const page = await read(START);
  const ids = page.rows.map(([id]) => Number(id));
  for (let count = 1; count <= 6; count++) {
    const rest = await read(positionAt(page, ids[count - 1] ?? 0));
    expect(payloads(rest)).toEqual([1, 2, 3, 4, 5, 6].slice(count));
  }
});

describe('a page is bounded', () => {
  test('in rows scanned: a rare channel is reached in pages of unwanted rows', async () => {
    await database.query(`select smart_notify('other', '1') from generate_series(1, 5000)`);
    await publish(database, 'rare');
    let reads = 0;
    let { after, rows } = await read(START);
    for (; rows.length === 0; reads++) ({ after, rows } = await read(after));
    // 5,000 rows, one in 64 of which is returned, 10 to a page.
    expect(reads).toBeGreaterThan(5);
    expect(after.window).toBeNull();
  });

  test('in bytes: few large rows fit, and a very large one comes alone', async () => {
    await database.query(
      `select smart_notify('c', to_jsonb(string_agg(md5(random()::text), '')))
       from generate_series(1, 20) as n, generate_series(1, 1000) group by n`,
    );
    const sizes: number[] = [];
    for (let after = START; ; ) {
      const page = await read(after, { limit: { rows: 10, bytes: 100_000 } });
      sizes.push(page.rows.length);
      ({ after } = page);
      if (!page.hasMore) break;
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(20);
    expect((await read(START, { limit: { rows: 10, bytes: 1 } })).rows).toHaveLength(1);
  });
});

test('the newest position excludes all that is visible and includes all that follows', async () => {
  const open = await database.connect();
  await open.query('begin');
  await publish(open, 'open');
  await publish(database, 1);
  const newest = await readNewestPosition(database.pool, 'pgwatch');
  expect(payloads(await read(newest))).toEqual([]);
  await open.query('commit');
  expect(payloads(await read(newest))).toEqual(['open']);
});

describe('plans', () => {
  type Plan = Record<string, unknown> & { Plans?: Plan[] };

  /**
   * The nodes of all plans of some work that read a partition, with the numbers of rows that each
   * read and discarded.
   */
  async function scansOf(
    work: (client: PoolClient, pool: Pool) => Promise<unknown>,
  ): Promise<{ node: string; rows: number }[]> {
    const pool = new Pool({ url: database.url, size: 2, settings: LOG_PLANS });
    const plans: Plan[] = [];
    const explained = new WeakSet<PoolClient>();
    const explain = async (client: PoolClient) => {
      if (explained.has(client)) return;
      explained.add(client);
      client.on('notice', ({ message = '' }) => {
        plans.push(JSON.parse(message.slice(message.indexOf('{'))).Plan);
      });
      await client.query(`load 'auto_explain';
        set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;
        set auto_explain.log_format = json; set client_min_messages = log`);
    };
    const keep = pool.keep.bind(pool);
    pool.keep = async () => {
      const client = await keep();
      if (client) await explain(client);
      return client;
    };
    try {
      await pool.withClient(async (client) => {
        await explain(client);
        await work(client, pool);
      });
      return plans.flatMap(flatten);
    } finally {
      await pool.close();
    }
  }

  function flatten(plan: Plan): { node: string; rows: number }[] {
    const own = plan['Relation Name']
      ? [
          {
            node: `${plan['Node Type']} ${plan['Index Name'] ?? ''}`,
            rows: Number(plan['Actual Rows'] ?? 0) + Number(plan['Rows Removed by Filter'] ?? 0),
          },
        ]
      : [];
    return [...own, ...(plan.Plans ?? []).flatMap(flatten)];
  }

  /** First without statistics, as on today's partition or after a restore, and then with them. */
  async function* withoutAndWithStatistics() {
    const { rows } = await database.query('select name from pgwatch.log_partitions()');
    for (const { name } of rows) {
      await database.query(`alter table pgwatch.${name} set (autovacuum_enabled = off)`);
    }
    await database.query(`select smart_notify('c', '1') from generate_series(1, 20000)`);
    yield 'without';
    await database.query('analyze pgwatch.notification_log');
    yield 'with';
  }

  test('a page at the tail uses indexes, and reads only what is new', async () => {
    for await (const _ of withoutAndWithStatistics()) {
      const position = await readNewestPosition(database.pool, 'pgwatch');
      for (let n = 0; n < 7; n++) await database.query(`select smart_notify('c', '2')`);
      const request = { position, channels: ['c'], limit: { rows: 100, bytes: 1e6 }, rebasedId: 0 };
      const nodes = await scansOf((client) => readPage(client, request));
      expect(nodes.length).toBeGreaterThan(10);
      expect(nodes.filter(({ node }) => /Seq|Bitmap/.test(node))).toEqual([]);
      expect(nodes.reduce((sum, { rows }) => sum + rows, 0)).toBeLessThan(50);
    }
  });

  test('a stream that ends early has read little more than it delivered', async () => {
    for await (const _ of withoutAndWithStatistics()) {
      const { doneId, doneSnapshot } = await readNewestPosition(database.pool, 'pgwatch');
      const window = { snapshot: doneSnapshot, endId: doneId, id: 0, xid: null };
      const limit = { rows: 100, bytes: 1e6 };
      const nodes = await scansOf(async (_client, pool) => {
        const options = { pool, schema: 'pgwatch', channels: ['c'], limit, rebasedId: 0 };
        let count = 0;
        for await (const page of streamPages(options, { ...START, window })) {
          count += page.rows.length;
          if (count >= 1000) break;
        }
      });
      expect(nodes.length).toBeGreaterThan(0);
      expect(nodes.reduce((sum, { rows }) => sum + rows, 0)).toBeLessThan(1500);
    }
  });
});
