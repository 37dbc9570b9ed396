import pg from 'pg';
import Cursor from 'pg-cursor';
import { expect, test } from 'vitest';
import type { ConsumerContext } from '../../src/consumers/define.ts';
import { startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: context.db accepts every form in which a pg client is called, with the same meaning with and
without a transaction.
Method: each form is tried on a pg client first, then in both modes; the forms of Drizzle, Kysely,
Knex, Prisma, TypeORM and tagged templates are those in which these libraries call a client.
*/

const database = useDatabase();

type Query = (...given: unknown[]) => unknown;
type Form = (query: Query) => unknown;

/** Like sql-template-strings: text is a property of the class. */
class Statement {
  readonly values = [7];
  get text() {
    return 'select $1::int as one';
  }
}

const byCallback = (query: Query, ...given: unknown[]) =>
  new Promise((resolve, reject) => {
    const returned = query(...given, (error: unknown, result: unknown) =>
      error ? reject(error) : resolve(result),
    );
    expect(returned).toBeUndefined();
  });
const ONE = 'select $1::int as one';
const AS_TEXT = { getTypeParser: () => (value: string) => `text ${value}` };

const forms: [string, Form][] = [
  ['text', (query) => query('select 7 as one')],
  ['text, values', (query) => query(ONE, [7])],
  ['text, undefined', (query) => query('select 7 as one', undefined)],
  ['config', (query) => query({ text: ONE, values: [7] })],
  ['config, values (Drizzle, Prisma)', (query) => query({ text: ONE }, [7])],
  ['config, values win', (query) => query({ text: ONE, values: [8] }, [7])],
  ['config, empty values win', (query) => query({ text: 'select 7 as one', values: [] }, [])],
  ['rowMode (Drizzle)', (query) => query({ text: ONE, rowMode: 'array' }, [7])],
  ['types (Drizzle, Prisma)', (query) => query({ text: ONE, types: AS_TEXT }, [7])],
  ['rowMode and types', (query) => query({ text: ONE, rowMode: 'array', types: AS_TEXT }, [7])],
  ['a name (Drizzle, prepared)', (query) => query({ name: 'one', text: ONE }, [7])],
  ['queryMode', (query) => query({ text: 'select 7 as one', queryMode: 'extended' })],
  ['binary', (query) => query({ text: ONE, binary: true }, [7])],
  ['a class with a text of its own', (query) => query(new Statement())],
  ['text, callback', (query) => byCallback(query, 'select 7 as one')],
  ['text, values, callback', (query) => byCallback(query, ONE, [7])],
  ['config, callback (Knex)', (query) => byCallback(query, { text: ONE, values: [7] })],
  ['config, values, callback', (query) => byCallback(query, { text: ONE }, [7])],
  [
    'config with a callback',
    (query) =>
      new Promise((callback) => {
        query({
          text: ONE,
          values: [7],
          callback: (_: unknown, result: unknown) => callback(result),
        });
      }),
  ],
  ['an error', (query) => query('select 1 / $1::int', [0])],
  ['an error by a callback', (query) => byCallback(query, 'select 1 / $1::int', [0])],
];

/** The result or error of a form. */
async function outcomeOf(form: Form, query: Query): Promise<unknown> {
  try {
    const { rows, command, rowCount, fields } = (await form(query)) as pg.QueryResult;
    return { rows, command, rowCount, fields: fields.map(({ name }) => name) };
  } catch (thrown) {
    return { code: (thrown as { code?: string }).code, message: (thrown as Error).message };
  }
}

/** Tries them in a handler, each in its own call. */
async function inHandler(transaction: boolean, tried: [string, Form][]): Promise<unknown[]> {
  const id = `c${Math.random()}`;
  const outcomes: unknown[] = [];
  const handle = async ({ payload }: { payload: unknown }, { db: { query } }: ConsumerContext) => {
    const [, form] = tried[payload as number] as [string, Form];
    outcomes.push(await outcomeOf(form, query as Query));
  };
  const definition = { id, channels: [id], transaction, retry: { attempts: 1 }, handle };
  const daemon = await startTailing(database.config, [definition]);
  for (const index of tried.keys()) {
    await database.query('select smart_notify($1, $2)', [id, String(index)]);
    await until('it is tried', () => outcomes.length === index + 1);
  }
  await daemon.stop();
  return outcomes;
}

test.each(some([false, true]))(
  'context.db is called like a pg client, with transaction: %s',
  async (transaction) => {
    const client = await database.connect();
    const expected: unknown[] = [];
    for (const [, form] of forms) {
      expected.push(await outcomeOf(form, client.query.bind(client) as Query));
    }
    const named = (outcomes: unknown[]) => outcomes.map((outcome, i) => [forms[i]?.[0], outcome]);
    expect(named(await inHandler(transaction, forms))).toEqual(named(expected));
  },
);

test.each(some([false, true]))(
  'a statement name that is reused for another text is another statement, with transaction: %s',
  async (transaction) => {
    const name = 'mine';
    const tried: [string, Form][] = [
      ['', (query) => query({ name, text: 'select 1 as n' })],
      ['', (query) => query({ name, text: 'select 2 as n' })],
      ['', (query) => query({ name, text: 'select 1 as n' })],
    ];
    const rows = (await inHandler(transaction, tried)).map(
      (outcome) => (outcome as pg.QueryResult).rows,
    );
    expect(rows).toEqual([[{ n: 1 }], [{ n: 2 }], [{ n: 1 }]]);
  },
);

test.each(some([false, true]))(
  'context.db refuses an argument that is not a query, with transaction: %s',
  async (transaction) => {
    const tried: [string, Form][] = [
      ['', (query) => query(new Cursor('select 1'))],
      ['', (query) => query(new pg.Query('select 1'))],
      ['', (query) => query()],
      ['', (query) => query(null)],
      ['', (query) => query(() => {})],
      ['', (query) => query({ values: [1] })],
      ['', (query) => query('')],
      ['', (query) => query('select 1', [], 'no function')],
    ];
    const messages = (await inHandler(transaction, tried)).map(
      (outcome) => (outcome as Error).message,
    );
    for (const message of messages) expect(message).toMatch(/^context\.db takes .*: call query\(/);
  },
);

/** A config whose properties change every time they are read. */
function changing(values: Record<string, readonly [first: unknown, later: unknown]>): object {
  const config = {};
  for (const [name, [first, later]] of Object.entries(values)) {
    let isRead = false;
    const get = () => {
      const value = isRead ? later : first;
      isRead = true;
      return value;
    };
    Object.defineProperty(config, name, { get, enumerable: true });
  }
  return config;
}

test.each(some([false, true]))(
  'the query that was checked is the one that runs, with transaction: %s',
  async (transaction) => {
    let reads = 0;
    const text = { toString: () => (reads++ === 0 ? 'select 7 as one' : 'commit') };
    const tried: [string, Form][] = [
      ['', (query) => query(changing({ text: ['select 7 as one', 'commit'] }))],
      ['', (query) => query(changing({ text: [ONE, ONE], values: [[7], [8]] }))],
      ['', (query) => query(changing({ text: [ONE, 'commit'], name: ['a', 'b'] }), [7])],
      ['', (query) => query({ text })],
      ['', (query) => query(Object.create(changing({ text: ['select 7 as one', 'rollback'] })))],
    ];
    for (const outcome of await inHandler(transaction, tried)) {
      expect(outcome).toMatchObject({ rows: [{ one: 7 }] });
    }
  },
);

test.each(some([false, true]))(
  'COPY from a stream is refused because there is no stream, with transaction: %s',
  async (transaction) => {
    await database.query('create table if not exists copied (id int)');
    const tried: [string, Form][] = [
      ['', (query) => query('copy copied from stdin')],
      ['', (query) => query({ name: 'copy', text: '/* all */ COPY copied (id) FROM STDIN' })],
      ['', (query) => query('copy copied to stdout')],
      ['', (query) => query(ONE, [7])],
    ];
    const outcomes = await inHandler(transaction, tried);
    const refused = { message: expect.stringMatching(/^context\.db has no stream for COPY/) };
    expect(outcomes).toMatchObject([refused, refused, { rows: [] }, { rows: [{ one: 7 }] }]);
  },
);

test.each(some([false, true]))(
  'statements deallocated by one call are prepared again for the next, with transaction: %s',
  async (transaction) => {
    const named: [string, Form] = ['', (query) => query({ name: 'one', text: ONE }, [7])];
    const tried: [string, Form][] = [
      named,
      ['', (query) => query('deallocate all')],
      named,
      ['', (query) => query('do $$ begin execute $b$deallocate all$b$; end $$')],
      named,
    ];
    const outcomes = await inHandler(transaction, tried);
    const one = { rows: [{ one: 7 }] };
    expect(outcomes).toMatchObject([one, { rows: [] }, one, { rows: [] }, one]);
  },
);

test('without transaction: true, a transaction left open is rolled back and reported', async () => {
  await database.query('create table left_open (id int)');
  const tried: [string, Form][] = [
    ['', (query) => query('begin')],
    ['', (query) => query('begin; insert into left_open values (1)')],
    ['', (query) => query('begin; insert into left_open values (2); commit')],
    ['', (query) => query('select count(*)::int from left_open')],
  ];
  const outcomes = await inHandler(false, tried);
  const said = 'left a transaction open, which was rolled back';
  expect(outcomes.slice(0, 2)).toMatchObject([
    { message: expect.stringContaining(said) },
    { message: expect.stringContaining(said) },
  ]);
  expect(outcomes[3]).toMatchObject({ rows: [{ count: 1 }] });
});
