import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseJson } from '../../src/json.ts';
import { LogNotification, type LogRow } from '../../src/log/notification.ts';
import { pageReader } from '../../src/log/page.ts';
import type { Snapshot } from '../../src/log/positions/position.ts';
import { useDatabase } from '../helpers/database.ts';

/**
 * One contract, two implementations: the view, for SQL readers, and the class Notification, for
 * consumers, give the same values for every row.
 */
const database = useDatabase();
const readPage = pageReader('pgwatch');
let client: pg.Client;

beforeAll(async () => {
  client = await database.connect();
  await client.query(
    'create table single (id bigint primary key, n numeric, f float8, t text, j jsonb)',
  );
  await client.query('create table composite (a bigint, b text, v jsonb, primary key (b, a))');
  await client.query(
    'create table keyless (a jsonb, "__proto__" text, "10" text, "B" int, "é" int)',
  );
  for (const table of ['single', 'composite', 'keyless']) {
    await client.query(`create trigger capture after insert or update or delete on ${table}
      for each row execute function notify_data_change('contract')`);
    await client.query(`create trigger emptied after truncate on ${table}
      for each statement execute function notify_data_change('contract')`);
  }
});

afterAll(() => client.end());

/** Runs the work and returns its log rows as read in SQL and as received by a consumer. */
async function bothWays(work: () => Promise<unknown>) {
  const { rows: before } = await client.query(
    'select coalesce(max(id), 0)::float8 as id from pgwatch.notification_log',
  );
  await work();
  const position = {
    doneId: before[0].id,
    doneSnapshot: (await client.query('select pg_current_snapshot()::text as s')).rows[0]
      .s as Snapshot,
    doneXid: null,
    window: null,
  };
  const page = await readPage(client, {
    position,
    channels: ['contract'],
    limit: { rows: 1000, bytes: 10 ** 9 },
    rebasedId: 0,
  });
  const { rows: view } = await client.query(
    `select id::float8, event_id, channel, key, payload::text, created_at
     from pgwatch.notification where channel = 'contract' and id > $1 order by id`,
    [before[0].id],
  );
  const inSql = view.map((row) => ({ ...row, payload: parseJson(row.payload) }));
  const inConsumer = page.rows.map((row: LogRow) => {
    const notification = new LogNotification(row, { isReplay: false, attempt: 1 });
    const { id, eventId, channel, key, payload, createdAt } = notification;
    return { id, event_id: eventId, channel, key, payload, created_at: createdAt };
  });
  return { inSql, inConsumer };
}

const bigint = fc
  .oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: 0n, max: 9n }))
  .map(String);
const numeric = fc.oneof(
  fc.tuple(fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.nat(30)).map(([digits, scale]) => {
    const text = String(digits).padStart(scale + 1, '0');
    return scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`;
  }),
  fc.constantFrom('0', '-0.0', '1.0', '1.00', '0.1', '1e400', '2e400', '1e-400', 'NaN', '1e22'),
);
const text = fc
  .string({ unit: 'binary', maxLength: 20 })
  .filter((value) => value.isWellFormed() && !value.includes('\0'));
const json = fc
  .jsonValue({ maxDepth: 3, stringUnit: 'grapheme' })
  .map((value) => JSON.stringify(value))
  .filter((value) => !value.includes('\\u0000') && !/\\ud[89a-f]/i.test(value));
const rawJson = fc.oneof(
  json,
  numeric.filter((value) => value !== 'NaN'),
);
const nullable = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });

async function expectSame(work: () => Promise<unknown>, count: number) {
  const { inSql, inConsumer } = await bothWays(work);
  expect(inConsumer).toHaveLength(count);
  expect(inConsumer).toEqual(inSql);
}

/* An update of the key counts as two changes. */
test('rows with one key column are the same in SQL and in a consumer', async () => {
  const row = fc.tuple(
    bigint,
    nullable(numeric),
    nullable(fc.double()),
    nullable(text),
    nullable(rawJson),
  );
  await fc.assert(
    fc.asyncProperty(row, row, (before, after) =>
      expectSame(
        async () => {
          await client.query('insert into single values ($1, $2, $3, $4, $5)', before);
          await client.query(
            'update single set (id, n, f, t, j) = ($1, $2, $3, $4, $5::jsonb)',
            after,
          );
          await client.query('delete from single');
        },
        before[0] === after[0] ? 3 : 4,
      ),
    ),
    { numRuns: 150 },
  );
});

test('rows with two key columns are the same in SQL and in a consumer', async () => {
  const row = fc.tuple(bigint, text, nullable(rawJson));
  await fc.assert(
    fc.asyncProperty(row, row, (before, after) =>
      expectSame(
        async () => {
          await client.query('insert into composite values ($1, $2, $3)', before);
          await client.query('update composite set (a, b, v) = ($1, $2, $3::jsonb)', after);
          await client.query('truncate composite');
        },
        before[0] === after[0] && before[1] === after[1] ? 3 : 4,
      ),
    ),
    { numRuns: 100 },
  );
});

test('rows without a key, with odd column names, are the same in SQL and a consumer', async () => {
  const row = fc.tuple(
    nullable(rawJson),
    nullable(text),
    nullable(text),
    nullable(fc.nat()),
    nullable(fc.nat()),
  );
  await fc.assert(
    fc.asyncProperty(row, row, (before, after) =>
      expectSame(async () => {
        await client.query('insert into keyless values ($1, $2, $3, $4, $5)', before);
        await client.query(
          `update keyless set (a, "__proto__", "10", "B", "é") = ($1::jsonb, $2, $3, $4, $5)`,
          after,
        );
        await client.query('delete from keyless');
      }, 3),
    ),
    { numRuns: 100 },
  );
});

test('published payloads, keys and event ids are the same in SQL and in a consumer', async () => {
  await fc.assert(
    fc.asyncProperty(rawJson, nullable(text), nullable(fc.uuid()), (payload, key, eventId) =>
      expectSame(
        () => client.query(`select smart_notify('contract', $1, $2, $3)`, [payload, key, eventId]),
        1,
      ),
    ),
    { numRuns: 100 },
  );
});
