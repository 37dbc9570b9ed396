import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Pool } from '../../src/database/pool.ts';
import { type Page, pageReader } from '../../src/log/page.ts';
import type { Position, Snapshot } from '../../src/log/positions/position.ts';
import { isStreamable, streamPages } from '../../src/log/stream.ts';
import { useDatabase } from '../helpers/database.ts';
import { startProxy } from '../helpers/proxy.ts';
import { publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
let pool: Pool;

beforeAll(() => {
  pool = new Pool({ url: database.url, size: 2, applicationName: 'replay' });
});
afterAll(() => pool.close());
beforeEach(() => database.query('truncate pgwatch.notification_log'));

const START: Position = {
  doneId: 0,
  doneSnapshot: '1:1:' as Snapshot,
  doneXid: null,
  window: null,
};

/** Opens a window with a first page, and streams the rest. */
async function* replay(limit: { rows: number; bytes: number }, from = pool): AsyncGenerator<Page> {
  const request = { channels: ['c'], limit, rebasedId: 0 };
  const first = await from.withClient((client) =>
    pageReader('pgwatch')(client, { ...request, position: START }),
  );
  yield first;
  expect(isStreamable(first.after, limit.rows)).toBe(true);
  yield* streamPages({ ...request, pool: from, schema: 'pgwatch' }, first.after);
}

async function collect(limit: { rows: number; bytes: number }): Promise<Page[]> {
  const pages: Page[] = [];
  for await (const page of replay(limit)) pages.push(page);
  return pages;
}

const payloads = (pages: Page[]) =>
  pages.flatMap(({ rows }) => rows.map((row) => JSON.parse(row[5] ?? '')));

describe('a replay', () => {
  test('delivers each row once, in order, and closes its window', async () => {
    await database.query(
      `select smart_notify(case when n % 3 = 0 then 'other' else 'c' end, to_jsonb(n))
       from generate_series(1, 2000) as n`,
    );
    const pages = await collect({ rows: 50, bytes: 1e6 });
    const expected = Array.from({ length: 2000 }, (_, i) => i + 1).filter((n) => n % 3 !== 0);
    expect(payloads(pages)).toEqual(expected);
    expect(pages.at(-1)?.after.window).toBeNull();
    for (const [index, page] of pages.slice(1).entries())
      expect(page.before).toEqual(pages[index]?.after);
  });

  test('whose length is a multiple of the page size closes its window, too', async () => {
    await publishRange(database, 1, 200);
    const pages = await collect({ rows: 50, bytes: 1e6 });
    expect(payloads(pages)).toHaveLength(200);
    expect(pages.at(-1)?.after.window).toBeNull();
  });

  test('does not see what is published meanwhile, which is after its window', async () => {
    await publishRange(database, 1, 200);
    const pages: Page[] = [];
    for await (const page of replay({ rows: 20, bytes: 1e6 })) {
      pages.push(page);
      await database.query(`select smart_notify('c', '"new"')`);
    }
    expect(payloads(pages)).toHaveLength(200);
  });

  test('delivers large rows in full, in parts of limited size', async () => {
    await database.query(
      `select smart_notify('c', to_jsonb((
         select string_agg(md5(random()::text || piece), '')
         from generate_series(1, case when n % 10 = 0 then 20000 else 10 end) as piece)))
       from generate_series(1, 100) as n`,
    );
    const pages = await collect({ rows: 20, bytes: 1_000_000 });
    const lengths = (payloads(pages) as string[]).map(({ length }) => length);
    expect(lengths).toEqual(
      Array.from({ length: 100 }, (_, i) => ((i + 1) % 10 === 0 ? 640_000 : 320)),
    );
    expect(Math.max(...pages.map(({ bytes }) => bytes))).toBeLessThan(1_400_000);
  });

  test('with a slow handler closes its cursor, which would hold back the horizon', async () => {
    await publishRange(database, 1, 300);
    const holders = async () =>
      (
        await database.query(
          `select from pg_stat_activity
           where application_name = 'replay' and backend_xmin is not null`,
        )
      ).rowCount;
    const pages: Page[] = [];
    for await (const page of replay({ rows: 20, bytes: 1e6 })) {
      pages.push(page);
      if (pages.length === 3) {
        expect(await holders()).toBe(1);
        await until('the cursor is closed', async () => (await holders()) === 0, 10_000);
      }
    }
    expect(payloads(pages)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  });

  test('that is abandoned returns its connection', async () => {
    await publishRange(database, 1, 300);
    for (let round = 0; round < 5; round++) {
      let pages = 0;
      for await (const _ of replay({ rows: 20, bytes: 1e6 })) if (++pages === 3) break;
    }
    expect(pool.pool.idleCount).toBe(pool.pool.totalCount);
  });

  test.each(['at work', 'at rest'])(
    'whose connection is cut %s fails, and does not hang',
    async (state) => {
      await publishRange(database, 1, 900);
      const replayCut = async () => {
        for await (const _ of replay({ rows: 20, bytes: 1e6 })) {
          const cutting = database.query(
            `select pg_terminate_backend(pid) from pg_stat_activity
             where application_name = 'replay'`,
          );
          if (state === 'at rest') await cutting;
        }
      };
      await expect(replayCut()).rejects.toThrow(/terminat|EPIPE|ECONNRESET|has ended/);
      await until('it is given back', () => pool.pool.totalCount === pool.pool.idleCount);
    },
  );

  test('whose connection falls silent can be abandoned', async () => {
    await publishRange(database, 1, 900);
    const proxy = await startProxy(database.url);
    const silent = new Pool({
      url: proxy.url,
      size: 2,
      applicationName: 'silent',
      deadlineMs: 300,
    });
    const pages = replay({ rows: 20, bytes: 1e6 }, silent);
    for (let count = 0; count < 3; count++) await pages.next();
    // By now the next rows have arrived, too: only closing the cursor hangs.
    for (let count = 0; count < 100; count++) await database.query('select 1');
    proxy.blackhole();
    await pages.return(undefined);
    expect(silent.pool.totalCount).toBe(silent.pool.idleCount);
    await silent.close();
    await proxy.close();
  });
});
