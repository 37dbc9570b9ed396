import { expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { listening } from '../helpers/listening.ts';

const database = useDatabase();

async function publish(sql: string): Promise<number> {
  const { rows } = await database.query(`select ${sql}::float8 as id`);
  return rows[0].id;
}

async function logRow(id: number) {
  const { rows } = await database.query('select * from pgwatch.notification_log where id = $1', [
    id,
  ]);
  return rows[0];
}

test('a channel is enough: the payload is {} and there is no key', async () => {
  const row = await logRow(await publish(`smart_notify('plain')`));
  expect(row).toMatchObject({ channel: 'plain', payload: {}, key: null, event_id: null });
  expect(row).toMatchObject({ action: null, relation: null, old_row: null, new_row: null });
});

test('SQL null as payload is stored as JSON null', async () => {
  const id = await publish(`smart_notify('plain', null, 'k')`);
  const { rows } = await database.query(
    'select payload::text, key from pgwatch.notification_log where id = $1',
    [id],
  );
  expect(rows).toEqual([{ payload: 'null', key: 'k' }]);
});

test('a notification of a rolled back transaction is neither stored nor announced', async () => {
  const { client, heard } = await listening(database, 'undone');
  await client.query('begin');
  const { rows } = await client.query(`select smart_notify('undone') as id`);
  await client.query('rollback');
  expect(await logRow(rows[0].id)).toBeUndefined();
  expect(heard).toEqual([]);
});

test('the xid is the top-level one, even under savepoints, and taken before the id', async () => {
  const client = await database.connect();
  await client.query('begin');
  const { rows } = await client.query('select pg_current_xact_id()::text as xid');
  await client.query('savepoint a');
  await client.query('savepoint b');
  await client.query(`select smart_notify('nested', '1')`);
  await client.query('release b');
  await client.query('rollback to a');
  await client.query(`select smart_notify('nested', '2')`);
  await client.query('commit');
  const logged = await database.query(
    `select payload, xid::text from pgwatch.notification_log where channel = 'nested'`,
  );
  expect(logged.rows).toEqual([{ payload: 2, xid: rows[0].xid }]);
});

test('plain LISTEN clients receive an envelope with id, time and payload', async () => {
  const { client, take } = await listening(database, 'envelope');
  const { rows } = await client.query(
    `select smart_notify('envelope', '{"name": "Zoë", "list": [1, null]}')::float8 as id`,
  );
  const { created_at } = await logRow(rows[0].id);
  const [envelope] = take() as { notification_log_id: number; timestamp: number; data: unknown }[];
  expect(envelope).toEqual({
    notification_log_id: rows[0].id,
    timestamp: expect.any(Number),
    data: { name: 'Zoë', list: [1, null] },
  });
  expect(Math.floor((envelope?.timestamp ?? 0) * 1000)).toBe(created_at.getTime());
});

test('equal notifications of one transaction are all announced, each with its own id', async () => {
  const { client, heard } = await listening(database, 'equal');
  await client.query(`select smart_notify('equal', '1') from generate_series(1, 5)`);
  expect(heard).toHaveLength(5);
});

test.each([
  ['8 KB', `to_jsonb(repeat('x', 8192))`],
  ['1 MB', `to_jsonb(repeat('x', 1000000))`],
  [
    '10 MB that do not compress',
    `(select jsonb_agg(md5(n::text)) from generate_series(1, 300000) as n)`,
  ],
  ['5,000 × "é", which is 10,000 bytes', `to_jsonb(repeat('é', 5000))`],
])('a payload of %s is announced by reference and stored in full', async (_, payload) => {
  const { client, take } = await listening(database, 'large');
  const { rows } = await client.query(`select smart_notify('large', ${payload})::float8 as id`);
  expect(take()).toEqual([
    { notification_log_id: rows[0].id, timestamp: expect.any(Number), large_payload: true },
  ]);
  const stored = await database.query(
    `select payload = ${payload} as is_whole from pgwatch.notification_log where id = $1`,
    [rows[0].id],
  );
  expect(stored.rows).toEqual([{ is_whole: true }]);
});

test('the limit is 8000 bytes of envelope: 7,999 go inline, 8,000 by reference', async () => {
  const { client, heard } = await listening(database, 'limit');
  // A longer id would change the length of the envelope.
  await client.query(
    `select setval(pg_get_serial_sequence('pgwatch.notification_log', 'id'), 1000000)`,
  );
  const send = async (length: number) => {
    heard.length = 0;
    await client.query(
      `select smart_notify('limit', to_jsonb(repeat('é', $1) || repeat('x', $2)))`,
      [length >> 1, length & 1],
    );
    return heard[0]?.payload ?? '';
  };
  let [length, last] = [7880, ''];
  for (let sent = last; !sent.includes('large_payload'); length++) {
    last = sent;
    sent = await send(length);
    // The time always has six decimals here: extract(epoch) prints them all.
    if (!sent.includes('large_payload')) expect(Buffer.byteLength(sent)).toBeLessThan(8000);
  }
  expect(Buffer.byteLength(last)).toBe(7999);
});

test.each([
  ['always', 'always', 1],
  ['off', 'off', 0],
  ['OFF', 'OFF', 0],
  ['Doorbell', 'Doorbell', 0],
  ['doorbell, if no daemon sleeps', 'doorbell', 0],
  ['an unknown value, which counts as the default', 'of', 1],
  ['nothing', '', 1],
])(
  'with pgwatch.notify set to %s, LISTEN clients are notified accordingly',
  async (_, mode, count) => {
    const { client, heard } = await listening(database, 'settings', 'pgwatch');
    await client.query(`select set_config('pgwatch.notify', $1, false)`, [mode]);
    await client.query(`select smart_notify('settings')`);
    expect(heard).toHaveLength(count);
  },
);

test('announcements are counted without warnings, whatever the string setting', async () => {
  const client = await database.connect();
  const notices: unknown[] = [];
  client.on('notice', (notice) => notices.push(notice));
  await client.query(`set standard_conforming_strings = off`);
  await client.query('begin');
  const counts: number[] = [];
  for (let n = 0; n < 3; n++) {
    await client.query(`select smart_notify('counted', '{}')`);
    const { rows } = await client.query(
      `select current_setting('pgwatch.announced')::int as count`,
    );
    counts.push(rows[0].count);
  }
  await client.query('rollback');
  expect(counts[2]).toBe(3 * (counts[0] ?? 0));
  expect(notices).toEqual([]);
});

test('in doorbell mode a sleeping daemon is rung once per transaction', async () => {
  const sleeper = await database.connect();
  await sleeper.query(
    `select pg_advisory_lock_shared(pgwatch.doorbell_class(), hashtext('sleepy'))`,
  );
  const { client, heard } = await listening(database, 'sleepy', 'pgwatch');
  await client.query(`set pgwatch.notify = 'doorbell'`);
  await client.query(
    `select smart_notify('sleepy', to_jsonb(n)) from generate_series(1, 100) as n`,
  );
  await client.query(`select smart_notify('nobody listens here')`);
  expect(heard.map(({ channel, payload }) => [channel, payload])).toEqual([['pgwatch', 'sleepy']]);
});

test('with off, a transaction can be prepared for two-phase commit', async () => {
  const client = await database.connect();
  await client.query(`set pgwatch.notify = 'off'`);
  await client.query('begin');
  const { rows } = await client.query(`select smart_notify('prepared')::float8 as id`);
  await client.query(`prepare transaction 'publish-test'`);
  expect(await logRow(rows[0].id)).toBeUndefined();
  await client.query(`commit prepared 'publish-test'`);
  expect(await logRow(rows[0].id)).toMatchObject({ channel: 'prepared' });
});
