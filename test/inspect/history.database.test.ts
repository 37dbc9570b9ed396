import { beforeAll, describe, expect, test } from 'vitest';
import { TYPES_SQL } from '../capture/random/values.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { chooseSeed, seededRandom } from '../racing/random.ts';
import { type Fault, HistoryWalk } from './history-walk.ts';

/*
Goal: a row at a time is what it was, and the SQL that undoes a change restores the previous row.
Method: random walks of inserts, updates, deletes, truncates and key changes over tables of all
types. The true contents are kept after each transaction, and compared with what the log alone says.
Faulty readers must be caught.
*/

const database = useDatabase();
const seed = chooseSeed('history');
const KEY_TYPES = ['integer', 'bigint', 'text', 'uuid', 'timestamptz', 'integer, text'];
let tables = 0;

beforeAll(() => database.query(TYPES_SQL));

test('in random walks every row is right at every time, and each change is undone', {
  timeout: 120_000,
}, async () => {
  const total = { rows: 0, undone: 0 };
  const random = seededRandom(seed);
  for (const keyType of KEY_TYPES) {
    const isPartitioned = random() < 0.2;
    const walk = await HistoryWalk.begin(database, {
      seed,
      number: ++tables,
      wish: { keyType, isPartitioned },
      // The rest of a row comes from its earlier versions.
      options: keyType === 'uuid' ? { payload: 'changed' } : {},
    });
    const failures: unknown[] = [];
    await walk.walk(12, {
      async afterEach() {
        const undone = await walk.undoLast();
        if (undone) total.undone += 1;
        if (undone?.differences.length) failures.push(undone);
      },
    });
    const about = `table ${tables} of seed ${seed}: ${JSON.stringify(walk.table)}`;
    expect(failures, about).toEqual([]);
    expect(await walk.differences(), about).toEqual([]);
    total.rows += walk.truths.reduce((sum, { rows }) => sum + rows.size, 0);
    await walk.end();
    await emptyLog(database);
  }
  console.log(`Right: ${JSON.stringify(total)}`);
  expect(total.rows).toBeGreaterThan(100);
  expect(total.undone).toBeGreaterThan(20);
});

const FAULTS: Record<string, Fault> = {
  'that leaves out TRUNCATE': (rows) => rows.filter((row) => row[6] !== 'TRUNCATE'),
  'that leaves out DELETE, as of a changed key': (rows) =>
    rows.filter((row) => row[6] !== 'DELETE'),
  'that takes the row before an update': (rows) =>
    rows.map((row) => (row[6] === 'UPDATE' ? (row.with(9, row[8]) as typeof row) : row)),
  'that sorts by transaction as text': (rows) =>
    rows.toSorted((a, b) => (a[1] + a[2] < b[1] + b[2] ? 1 : -1)),
};

describe('the truth differs from a history', () => {
  test.each(Object.entries(FAULTS))('%s', async (_, fault) => {
    // The fault has an effect only by chance.
    for (let tries = 0; tries < 30; tries++) {
      const walk = await HistoryWalk.begin(database, {
        seed,
        number: ++tables,
        wish: { keyType: 'integer', isPartitioned: false },
      });
      await walk.walk(25);
      const differences = await walk.differences(fault);
      await walk.end();
      await emptyLog(database);
      if (differences.length > 0) return;
    }
    expect.fail('the history was right');
  });
});
