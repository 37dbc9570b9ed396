import { beforeAll, expect, test } from 'vitest';
import { readDeliveries } from '../../src/log/deliveries/dead-letters.ts';
import { NO_FILTER } from '../../src/log/deliveries/filter.ts';
import { findNotifications } from '../../src/log/find.ts';
import { collecting } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/* Contents that are small in the table, but too long as text for JavaScript or PostgreSQL. */

const database = useDatabase({ pollInterval: '10m' });
const { tail, untilFiled } = useDelivering(database);

/** The limit in this test: making texts of half a gigabyte takes a minute on slow memory. */
const BYTES_MAX = 1_000_000;

beforeAll(async () => {
  await database.query(`
    alter function pgwatch.content_text(jsonb, bigint) rename to content_text_of;
    create function pgwatch.content_text(content jsonb, bytes_max bigint) returns text language sql
    as 'select pgwatch.content_text_of(content, least(bytes_max, ${BYTES_MAX}))'`);
});

/** Numbers of 100,000 digits, each stored in 16 bytes. */
const LONG = `('[' || repeat('1e100000, ', 299) || '1]')::jsonb`;
/** Many numbers, stored without compression. */
const PLAIN = `(select jsonb_agg((random() * 1e9)::integer) from generate_series(1, 100000))`;
/** Control characters, each of which becomes six characters. */
const ESCAPED = `to_jsonb(repeat(chr(1), 300000))`;

/** Publishes by its own statement, so no writer has to make the text. */
const insert = (columns: string, values: string) =>
  `insert into pgwatch.notification_log (xid, channel, ${columns})
   values (pg_current_xact_id(), 'c', ${values}) returning id::float8 as id`;

test.each(
  some([
    ['of numbers with huge exponents', {}, insert('key, payload', `'k', ${LONG}`)],
    ['of a value that is large itself', {}, insert('key, payload', `'k', ${PLAIN}`)],
    ['of control characters', { transaction: true }, insert('key, payload', `'k', ${ESCAPED}`)],
    [
      'of a captured row',
      { instances: 'shared' as const },
      insert(
        'key, action, relation, new_row',
        `'k', 'INSERT', '["public", "t"]', jsonb_build_object('v', ${LONG})`,
      ),
    ],
  ]),
)(
  'a text %s becomes a dead letter, and later notifications arrive',
  async (_, options, statement) => {
    const { seen, definition } = collecting(options);
    await tail(definition);
    const { rows } = await database.query(statement);
    const id = rows[0].id;
    await database.query(`select smart_notify('c', '"later"', 'k'), smart_notify('c', '"other"')`);
    const [dead] = await untilFiled('dead');
    expect(dead).toMatchObject({ id, key: 'k', attempts: 1 });
    expect(dead?.error?.message).toContain(`Notification ${id} is too large to be read`);
    await until('the others arrive', () => seen.length === 2 || JSON.stringify(seen));
    expect([...seen].sort()).toEqual(['later', 'other']);

    const client = await database.connect();
    const [stored] = await findNotifications(client, 'pgwatch', [id]);
    expect(stored?.notification.toJSON()).toMatchObject({ id, payload: null });
    expect(stored?.notification.unreadable).toContain('too large to be read');
    await database.query('truncate pgwatch.notification_log');
    const [shown] = await readDeliveries(client, 'pgwatch', NO_FILTER);
    expect(shown?.notification?.unreadable).toContain('too large to be read');
    expect(shown?.notification?.change).toBe(null);
  },
);

test('a notification whose key is too long to be read becomes a dead letter, too', async () => {
  const { seen, definition } = collecting();
  await tail(definition);
  await database.query(insert('key, payload', `repeat('x', 60000000), '1'`));
  await database.query(`select smart_notify('c', '2')`);
  const [dead] = await untilFiled('dead');
  expect(dead?.key).toBe(null);
  await until('the other one arrives', () => seen.length === 1);
  expect(seen).toEqual([2]);
});

test('the other notifications of a batch with such a text are handled', async () => {
  const seen: unknown[] = [];
  await database.query(`insert into pgwatch.notification_log (xid, channel, payload)
    select pg_current_xact_id(), 'c', payload
    from unnest(array['1', ${LONG}, '3']) as payload`);
  await tail({
    id: 'c',
    channels: ['c'],
    from: 'start',
    batchSize: 10,
    handleBatch: (batch) => void seen.push(...batch.map(({ payload }) => payload)),
  });
  await untilFiled('dead');
  await until('the others arrive', () => seen.length === 2);
  expect(seen).toEqual([1, 3]);
});
