import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import type { Client } from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { collectReports } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { makeConsumer } from '../helpers/doors/run.ts';
import { RebuiltTable } from '../helpers/rebuilt-table.ts';
import { chooseSeed, type Random, seededRandom } from '../racing/random.ts';
import { randomStatements, type StatementOptions } from './random/statements.ts';
import { type RandomTable, randomTable, type Wish } from './random/table.ts';
import { TYPES_SQL } from './random/values.ts';

/*
Goal: the notifications of a table are enough to rebuild it.
Method: random tables, and random transactions of several writers on them; a consumer rebuilds each
table, and the copy must equal the table, row by row. Faulty variants of the trigger function must
be caught.
*/

const database = useDatabase();
const seed = chooseSeed('random tables');
let tables = 0;
const WRITERS = 3;
const TRANSACTIONS = 40;

/** Runs random transactions until each writer has done its share. Returns how many committed. */
async function write(
  table: RandomTable,
  random: Random,
  options: StatementOptions,
): Promise<number> {
  let committed = 0;
  const writer = async (_: unknown, number: number) => {
    const own = { ...options, file: `${options.file}-${number}` };
    const client = await database.connect();
    await client.query(`set deadlock_timeout = '5ms'`);
    for (let n = 0; n < TRANSACTIONS; n++) {
      if (await runTransaction(client, table, random, own)) committed += 1;
    }
    await client.end();
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  return committed;
}

async function runTransaction(
  client: Client,
  table: RandomTable,
  random: Random,
  options: StatementOptions,
): Promise<boolean> {
  await client.query('begin');
  for (let left = 1 + Math.floor(random() * 4); left > 0; left--) {
    await client.query('savepoint s');
    const statements = randomStatements(random, table, options);
    try {
      for (const statement of statements) await client.query(statement);
      if (random() < 0.2) await client.query('rollback to s');
    } catch (thrown) {
      const { code = '' } = thrown as { code?: string };
      if (!EXPECTED.some((expected) => code.startsWith(expected))) {
        throw new Error(`${statements.join(';\n')}: ${(thrown as Error).message}`, {
          cause: thrown,
        });
      }
      await client.query('rollback to s');
    }
  }
  const isCommitted = random() < 0.85;
  await client.query(isCommitted ? 'commit' : 'rollback');
  return isCommitted;
}

/**
 * Constraint violations, deadlocks, and rows that a statement may not touch twice or whose
 * partition has changed.
 */
const EXPECTED = ['23', '40', '21000', '27000', '22003'];

/** Delivers everything in the log to a consumer that rebuilds the table. */
async function rebuild(): Promise<RebuiltTable> {
  const copy = new RebuiltTable();
  const consumer = makeConsumer({
    id: `copy-${randomUUID()}`,
    channels: ['data_change'],
    handle: ({ change }) => change && copy.apply(change),
  });
  const { config } = database;
  const { reporter } = collectReports();
  await new Daemon({ config, consumers: [consumer], reporter }).runOnce(
    new AbortController().signal,
  );
  return copy;
}

async function run(wish: Wish = {}) {
  const number = ++tables;
  const random = seededRandom(seed + number);
  const table = randomTable(random, number, wish);
  const client = await database.connect();
  const { rows } = await client.query(
    `select current_setting('server_version_num')::int / 10000 as major`,
  );
  const file = `${tmpdir()}/pgwatch-copy-${randomUUID()}`;
  for (const statement of table.create) await client.query(statement);
  await createTrigger(client, `"${table.text.replaceAll('"', '""')}"`, table.options);
  await client.end();
  const committed = await write(table, random, { major: rows[0].major, file });
  const copy = await rebuild();
  const differences = await copy.differences(database, table.name);
  const counted = await database.query('select count(*)::int as n from pgwatch.notification_log');
  await emptyLog(database);
  return { table, committed, notifications: counted.rows[0].n as number, differences };
}

beforeAll(() => database.query(TYPES_SQL));

test('random tables are rebuilt from their notifications alone', { timeout: 300_000 }, async () => {
  const total = { tables: 0, transactions: 0, notifications: 0 };
  for (let number = 1; number <= TABLES; number++) {
    const { table, committed, notifications, differences } = await run();
    expect(
      differences,
      `table ${number} of seed ${seed}: ${JSON.stringify(table, null, 1)}`,
    ).toEqual([]);
    total.tables += 1;
    total.transactions += committed;
    total.notifications += notifications;
  }
  console.log(`Rebuilt exactly: ${JSON.stringify(total)}`);
  expect(total.notifications).toBeGreaterThan(TABLES * 50);
});

const TABLES = Number(process.env.PGWATCH_TEST_TABLES ?? 15);

/** Tries tables until one differs from its copy. */
async function expectCaught(wish: Wish): Promise<void> {
  for (let tries = 0; tries < 10; tries++) {
    const { differences } = await run(wish);
    if (differences.length > 0) return;
  }
  expect.fail('the copies were right');
}

/** Texts in the trigger function, and what a faulty one has instead. */
const FAULTS: Readonly<Record<string, readonly [from: string, to: string]>> = {
  'the old row instead of the new row': [
    'to_jsonb(n.data) end as new_data',
    'to_jsonb(o.data) end as new_data',
  ],
  'a changed key recorded as an update': [
    'data.old_data ->> tg_argv[2] <> data.new_data ->> tg_argv[2] as has_moved',
    'false as has_moved',
  ],
  'a row left out now and then': [
    'where jsonb_exists(change.data, tg_argv[2])',
    'where jsonb_exists(change.data, tg_argv[2]) and abs(hashtext(change.data::text)) % 40 <> 7',
  ],
};

describe('the copy differs from the table with', { timeout: 120_000 }, () => {
  test.each(Object.entries(FAULTS))('%s', async (_, [from, to]) => {
    const { rows } = await database.query(
      `select pg_get_functiondef('notify_data_change'::regproc) as text`,
    );
    const right = rows[0].text as string;
    expect(right).toContain(from);
    await database.query(right.replaceAll(from, () => to));
    try {
      const plain = { keyType: 'integer', isPartitioned: false, isNested: false, isPlain: true };
      await expectCaught({ ...plain, forEach: 'statement' });
    } finally {
      await database.query(right);
    }
  });

  test('a statement trigger after a trigger that changes the rows again', async () => {
    const keyType = 'integer';
    await expectCaught({
      keyType,
      isPartitioned: false,
      isNested: true,
      forEach: 'statement',
    });
  });
});
