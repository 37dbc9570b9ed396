import { readdirSync } from 'node:fs';
import { createPgwatch, type defineConsumer } from 'pgwatch';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: the code blocks of docs/orms.md work as they are shown.
Method: scripts/test-orms.ts writes each to a file, which the compiler checks, and this runs.
*/

const database = useDatabase();
const FOLDER = new URL('generated/', import.meta.url);
const HANDLERS = 'handlers.ts';
const files = readdirSync(FOLDER).filter((file) => file.endsWith('.ts'));

beforeAll(async () => {
  vi.stubEnv('DATABASE_URL', database.url);
  await database.query('create table orders (id serial primary key, item text not null)');
});

/** What has been published and inserted since the last call. */
async function takeAll() {
  const { rows: published } = await database.query(
    `select payload from pgwatch.notification_log where channel = 'orders' order by id`,
  );
  const { rows: orders } = await database.query('select * from orders order by id');
  await database.query('truncate pgwatch.notification_log, orders');
  return { published: published.map(({ payload }) => payload), orders };
}

test('the page has a block for each library', () => {
  expect(files.toSorted()).toEqual([
    'drizzle.ts',
    HANDLERS,
    'knex.ts',
    'kysely.ts',
    'mikro-orm.ts',
    'notify-query.ts',
    'postgres-js.ts',
    'prisma.ts',
    'typeorm.ts',
  ]);
});

test.each(files.filter((file) => file !== HANDLERS))(
  '%s publishes what it writes',
  async (file) => {
    await import(new URL(file, FOLDER).href);
    const { published, orders } = await takeAll();
    expect(orders).toMatchObject([{ item: 'lamp' }]);
    expect(published).toEqual(orders);
  },
);

test('handlers write through context.db', async () => {
  const consumers: Record<string, ReturnType<typeof defineConsumer>> = await import(
    new URL(HANDLERS, FOLDER).href
  );
  const pgwatch = createPgwatch({ url: database.url });
  onTestFinished(() => pgwatch.close());
  await pgwatch.notify('signup', 1);
  await (await pgwatch.listen(Object.values(consumers), { once: true })).done;
  const gift = { item: 'gift' };
  const { published, orders } = await takeAll();
  expect(published).toEqual([gift, gift, gift]);
  expect(orders).toMatchObject([gift, gift, gift]);
});
