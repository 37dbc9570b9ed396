import { Pool } from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  type ConsumerContext,
  createPgwatch,
  defineConsumer,
  type NewNotification,
  type Pgwatch,
} from '../../src/index.ts';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: { client } promises a transaction. What can be seen to be in none is refused, and nothing is
published.
*/

const database = useDatabase();
const silent = { debug() {}, info() {}, warn() {}, error() {} };
let pgwatch: Pgwatch;
beforeAll(() => {
  pgwatch = createPgwatch({ url: database.url, reporter: silent });
});
afterAll(() => pgwatch.close());

const countOf = async (channel: string) => {
  const text = 'select from pgwatch.notification_log where channel = $1';
  return (await database.query(text, [channel])).rowCount;
};

const missing = (message: string) => ({
  code: 'transaction_missing',
  message: expect.stringContaining(message),
});

test('a pool is refused', async () => {
  const pool = new Pool({ connectionString: database.url });
  onTestFinished(() => pool.end());
  const list: NewNotification[] = [{ channel: 'pool', payload: 1 }];
  const refused = missing('client is a pool');
  await expect(pgwatch.notify('pool', 1, { client: pool })).rejects.toMatchObject(refused);
  await expect(pgwatch.notifyMany(list, { client: pool })).rejects.toMatchObject(refused);
  expect(await countOf('pool')).toBe(0);
});

test('a client without a transaction is refused, before one and after', async () => {
  const client = await database.connect();
  const refused = missing('client has no open transaction');
  await expect(pgwatch.notify('idle', 1, { client })).rejects.toMatchObject(refused);
  await client.query('begin');
  await pgwatch.notify('idle', 2, { client });
  await client.query('commit');
  await expect(pgwatch.notify('idle', 3, { client })).rejects.toMatchObject(refused);
  expect(await countOf('idle')).toBe(1);
});

test('a transaction counts from when its begin is sent', async () => {
  const client = await database.connect();
  const begun = client.query('select pg_sleep(0.1); begin');
  await pgwatch.notify('begun', 1, { client });
  await begun;
  await client.query('rollback');
  expect(await countOf('begun')).toBe(0);
});

test('a failed transaction is left to the server', async () => {
  const client = await database.connect();
  await client.query('begin');
  await expect(client.query('select 1 / 0')).rejects.toThrow();
  await expect(pgwatch.notify('failed', 1, { client })).rejects.toMatchObject({ code: '25P02' });
});

test('clients that do not tell their status are accepted', async () => {
  const client = await database.connect();
  Object.defineProperty(client, 'getTransactionStatus', { value: undefined });
  await client.query('begin');
  await pgwatch.notify('older', 1, { client });
  await client.query('commit');
  expect(await countOf('older')).toBe(1);
});

test.each([true, false])(
  'context.db counts as a transaction if the consumer has one: %s',
  async (transaction) => {
    const id = `db-${transaction}`;
    const outcomes: unknown[] = [];
    const publish = (client: ConsumerContext['db']) =>
      pgwatch.notify(`from ${id}`, 1, { client }).then(() => 'published');
    const consumer = defineConsumer({
      id,
      channels: [id],
      transaction,
      async handle(_, { db }) {
        outcomes.push(await publish(db).catch((thrown) => thrown));
      },
    });
    await pgwatch.notify(id, 1);
    await (await pgwatch.listen([consumer], { once: true })).done;
    expect(outcomes).toMatchObject([transaction ? 'published' : missing('has no open')]);
    expect(await countOf(`from ${id}`)).toBe(transaction ? 1 : 0);
  },
);
