import type { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import {
  type AdaptedTransaction,
  fromDrizzle,
  fromKnex,
  fromKysely,
  fromMikroOrm,
  fromPostgresJs,
  fromPrisma,
  fromTypeorm,
} from '../../src/adapters.ts';
import { notify, notifyMany } from '../../src/index.ts';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: each adapter runs the statement in the transaction that it was given, and refuses everything
else.
Method: objects of the shape that each library has, over a real client. test/orms has the libraries
themselves (npm run test:orms).
*/

const database = useDatabase();

/** The methods of a library's transaction that an adapter uses. */
const shapes = {
  fromPrisma: (client: Client) => ({
    $queryRawUnsafe: async (text: string, ...values: unknown[]) =>
      (await client.query(text, values)).rows,
  }),
  fromDrizzle: (client: Client) => ({
    execute(query: { getSQL(): unknown } | string) {
      const sql = (query as { getSQL(): { toQuery(): { sql: string; params: unknown[] } } })
        .getSQL()
        .toQuery();
      return client.query(sql.sql, sql.params);
    },
    rollback(): never {
      throw new Error('it is not called');
    },
    $with() {},
  }),
  fromKysely: (client: Client) => ({
    isTransaction: true as const,
    executeQuery: ({ sql, parameters }: { sql: string; parameters: unknown[] }) =>
      client.query(sql, parameters),
  }),
  fromKnex: (client: Client) => ({
    isTransaction: true,
    isCompleted: () => false,
    async raw(sql: string, bindings: readonly (string | null)[]) {
      let count = 0;
      const text = sql.replaceAll('?', () => `$${++count}`);
      return client.query(text, [...bindings]).catch((thrown: Error) => {
        thrown.message = `${text} - ${thrown.message}`;
        throw thrown;
      });
    },
  }),
  fromTypeorm: (client: Client) => ({
    queryRunner: { isTransactionActive: true },
    query: async (text: string, values?: unknown[]) => (await client.query(text, values)).rows,
    withRepository() {},
  }),
  fromMikroOrm: (client: Client) => ({
    isInTransaction: () => true,
    getTransactionContext: () => shapes.fromKysely(client),
  }),
  fromPostgresJs: (client: Client) => ({
    unsafe: async (text: string, values?: unknown[]) => (await client.query(text, values)).rows,
    savepoint() {},
  }),
};

const adapters: Record<keyof typeof shapes, (given: never) => AdaptedTransaction> = {
  fromPrisma,
  fromDrizzle,
  fromKysely,
  fromKnex,
  fromTypeorm,
  fromMikroOrm,
  fromPostgresJs,
};
const names = Object.keys(shapes) as (keyof typeof shapes)[];

/** What the program has left out of its transaction. */
const bare: Record<keyof typeof shapes, object> = {
  fromPrisma: { $connect() {} },
  fromDrizzle: { rollback: undefined },
  fromKysely: { isTransaction: false },
  fromKnex: { isCompleted: () => true },
  fromTypeorm: { queryRunner: undefined },
  fromMikroOrm: { getTransactionContext: () => undefined },
  fromPostgresJs: { savepoint: undefined },
};

const channelsOf = async (channel: string) => {
  const text = 'select payload from pgwatch.notification_log where channel = $1 order by id';
  return (await database.query(text, [channel])).rows.map(({ payload }) => payload);
};

describe.each(names)('%s()', (name) => {
  test('publishes in its transaction, and not after a rollback', async () => {
    const client = await database.connect();
    const adapted = adapters[name](shapes[name](client) as never);
    await client.query('begin');
    await notify(adapted, name, 'undone');
    await client.query('rollback; begin');
    const id = await notify(adapted, name, { a: '?' }, { key: `'a' "b" \\ {} NULL` });
    const [second = 0] = await notifyMany(adapted, [
      { channel: name, payload: null },
      { channel: name, payload: '"\\', key: '' },
    ]);
    expect(await channelsOf(name)).toEqual([]);
    await client.query('commit');
    expect(second).toBeGreaterThan(id);
    expect(await channelsOf(name)).toEqual([{ a: '?' }, null, '"\\']);
  });

  test('keeps the sentence of a refusal', async () => {
    const client = await database.connect();
    await client.query('begin');
    const adapted = adapters[name](shapes[name](client) as never);
    await expect(notify(adapted, 'a', { a: '\0' })).rejects.toMatchObject({
      code: 'payload_invalid',
      message: 'The payload cannot be stored: jsonb cannot hold the character \\u0000.',
    });
  });

  test('refuses what is not in a transaction, with what to pass instead', async () => {
    const given = { ...shapes[name](await database.connect()), ...bare[name] };
    expect(() => adapters[name](given as never)).toThrow(
      expect.objectContaining({
        code: 'transaction_missing',
        message: expect.stringMatching(
          /^from\w+\(\) was given an object that is not in a transaction: .+\. Pass \w+, the argum/,
        ),
      }),
    );
  });

  test('refuses the objects of other libraries', async () => {
    const client = await database.connect();
    const others = names.filter((other) => other !== name).map((other) => shapes[other](client));
    for (const given of [...others, client, database.pool, undefined, null, 'tx', () => {}]) {
      expect(() => adapters[name](given as never)).toThrow(
        expect.objectContaining({
          code: 'input_invalid',
          message: expect.stringMatching(/^from\w+\(\) takes \w+, the argument of .+, not .+\.$/),
        }),
      );
    }
  });
});

test('what has ended since is refused when it is used', async () => {
  let isCompleted = false;
  const knex = { ...shapes.fromKnex(await database.connect()), isCompleted: () => isCompleted };
  const adapted = fromKnex(knex);
  isCompleted = true;
  await expect(notify(adapted, 'ended', 1)).rejects.toMatchObject({ code: 'transaction_missing' });
  expect(await channelsOf('ended')).toEqual([]);
});
