import pg from 'pg';
import { expect, test } from 'vitest';
import type { ConsumerContext } from '../../src/consumers/define.ts';
import { createPgwatch, notify, type Reporter } from '../../src/index.ts';
import { useDatabase } from '../helpers/database.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: libraries that take a pool of pg take context.db, with and without a transaction, and whatever
they do with it runs in the call or fails.
*/

const database = useDatabase();
const silent: Reporter = { debug() {}, info() {}, warn() {}, error() {} };

/** Runs the work in a handler. */
async function inHandler<T>(
  transaction: boolean,
  work: (db: ConsumerContext['db']) => Promise<T>,
  reporter = silent,
): Promise<T | undefined> {
  const id = `c${Math.random()}`;
  await using pgwatch = createPgwatch({ url: database.url, reporter });
  let result: T | undefined;
  const handle = async (_: unknown, { db }: ConsumerContext) => {
    result = await work(db);
  };
  await pgwatch.notify(id, 1);
  const consumer = { id, channels: [id], transaction, retry: { attempts: 1 }, handle };
  await (await pgwatch.listen([consumer], { once: true })).done;
  return result;
}

const XID = 'select pg_current_xact_id()::text as xid';

test.each(some([false, true]))(
  'a client that it lends runs statements in the call, with transaction: %s',
  async (transaction) => {
    const xids = await inHandler(transaction, async (db) => {
      const client = await db.connect();
      const byCallback = await new Promise<pg.PoolClient | undefined>((resolve) => {
        db.connect((_, lent, done) => {
          done();
          resolve(lent);
        });
      });
      expect(byCallback).toBe(client);
      const found = [await db.query(XID), await client.query(XID)];
      client.release();
      await db.end();
      await new Promise<void>((resolve) => db.end(resolve));
      return [...found, await client.query(XID), await db.query(XID)].map(({ rows }) => rows[0]);
    });
    expect(new Set(xids?.map(({ xid }) => xid)).size).toBe(transaction ? 1 : 4);
  },
);

test.each(some([false, true]))(
  'a client that it lends begins no transaction, with transaction: %s',
  async (transaction) => {
    const refused = await inHandler(transaction, async (db) => {
      const client = await db.connect();
      return client.query('begin').catch((thrown: unknown) => thrown);
    });
    expect(refused).toMatchObject({
      code: 'handler_failed',
      message: expect.stringContaining(transaction ? 'cannot run "begin"' : 'transaction: true'),
    });
  },
);

test.each(some([false, true]))(
  'a pool made of it opens no connection, with transaction: %s',
  async (transaction) => {
    await inHandler(transaction, async (db) => {
      expect(db).toBeInstanceOf(pg.Pool);
      const copy = new pg.Pool(db as never);
      const query = async () => copy.query('select 1');
      await expect(query()).rejects.toThrow('which has none: it may have another copy of pg');
    });
  },
);

test('publishing with a client that it lends is part of the transaction', async () => {
  const warnings: unknown[] = [];
  const reporter = { ...silent, warn: (message: string) => warnings.push(message) };
  const xids = await inHandler(
    true,
    async (db) => {
      const lent = await db.connect();
      const id = await notify(lent, 'lent', 1);
      const text = 'select xid::text from pgwatch.notification_log where id = $1';
      return [await db.query(XID), await db.query(text, [id])].map(({ rows }) => rows[0].xid);
    },
    reporter,
  );
  expect(new Set(xids).size).toBe(1);
  expect(warnings).toEqual([]);
});

test('a handler can be called with a pool of the program instead', async () => {
  const db: ConsumerContext['db'] = database.pool;
  expect(await notify(db, 'orders', 1)).toBeGreaterThan(0);
});
