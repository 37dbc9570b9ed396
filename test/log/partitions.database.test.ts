import { beforeEach, expect, test } from 'vitest';
import { startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';

const database = useDatabase();

// Each test starts with the partitions of today and the next three days, as migrated.
beforeEach(async () => {
  const { rows } = await database.query(
    `select format('drop table pgwatch.%I', relname) as statement from pg_class
     where relname ~ '^notification_log_\\d{8}$'
         and relname > 'notification_log_'
           || to_char(now() at time zone 'UTC' + interval '3 days', 'YYYYMMDD')`,
  );
  for (const { statement } of rows) await database.query(statement);
});

async function create(period: string | null, ahead: number | null): Promise<string[]> {
  const { rows } = await database.query(
    'select created from pgwatch.log_partition_create($1, $2) as created',
    [period, ahead],
  );
  return rows.map(({ created }) => created);
}

test('partitions are created for today and ahead, once', async () => {
  const created = await create('day', 10);
  expect(created).toHaveLength(7);
  expect(created.every((name) => /^notification_log_\d{8}$/.test(name))).toBe(true);
  expect(await create('day', 10)).toEqual([]);
});

test("a new notification goes into today's partition, not into the default one", async () => {
  const { rows } = await database.query(`
    with published as (select smart_notify('ch') as id) select id from published`);
  const found = await database.query(
    `select tableoid::regclass::text = 'pgwatch.notification_log_'
         || to_char(now() at time zone 'UTC', 'YYYYMMDD') as is_todays
     from pgwatch.notification_log where id = $1`,
    [rows[0].id],
  );
  expect(found.rows).toEqual([{ is_todays: true }]);
});

test("the session's time zone does not shift the bounds", async () => {
  const client = await database.connect();
  await client.query(`set timezone = 'Pacific/Kiritimati'`);
  await client.query(`select pgwatch.log_partition_create('day', 20)`);
  await client.query(`set timezone = 'UTC'`);
  const { rows } = await client.query(
    `select pg_get_expr(relpartbound, oid) as bound from pg_class
     where relname ~ '^notification_log_\\d{8}$'`,
  );
  expect(rows).toHaveLength(21);
  for (const { bound } of rows) expect(bound.match(/ 00:00:00\+00'/g)).toHaveLength(2);
});

test("hours in a day's partition are skipped without an error", async () => {
  expect(await create('hour', 5)).toEqual([]);
});

test('asking for hours does not take the room of later days', async () => {
  expect(await create('hour', 100)).toEqual([]);
  expect(await create('day', 5)).toHaveLength(2);
});

test('another period begins where the partitions end', async () => {
  try {
    await dropAll();
    expect(await create('hour', 1)).toHaveLength(2);
    expect(await create('hour', 3)).toHaveLength(2);
    // Today has hours, and near midnight tomorrow has some, too.
    const days = await create('day', 20);
    expect(days.length).toBeLessThanOrEqual(1);
  } finally {
    await dropAll();
    await create('day', 3);
  }
});

async function dropAll(): Promise<void> {
  await database.query(`
    do $$ declare name text; begin
      for name in select p.name from pgwatch.log_partitions() as p where p.starts is not null loop
        execute format('drop table pgwatch.%I', name);
      end loop;
    end $$`);
}

test.each([
  ['week', 3, 'The partition period must be day or hour, not week.'],
  [null, 3, 'The partition period must be day or hour, not null.'],
  ['day', 101, 'Partitions can be created 0 to 100 periods ahead, not 101.'],
  ['day', -1, 'Partitions can be created 0 to 100 periods ahead, not -1.'],
  ['day', null, 'Partitions can be created 0 to 100 periods ahead, not null.'],
])('period %j, %j ahead, is refused', async (period, ahead, message) => {
  await expect(create(period, ahead)).rejects.toMatchObject({ code: 'PW004', message });
});

test("partitions are created while a writer's transaction is open", async () => {
  const writer = await database.connect();
  await writer.query('begin');
  await writer.query(`select smart_notify('ch')`);
  expect(await create('day', 13)).toHaveLength(10);
  await writer.query('commit');
});

test('if a lock is not available at once, no partition is created until next time', async () => {
  const holder = await database.connect();
  await holder.query('begin');
  await holder.query('lock table pgwatch.notification_log_default in row exclusive mode');
  const startedAt = performance.now();
  expect(await create('day', 33)).toEqual([]);
  expect(performance.now() - startedAt).toBeLessThan(2000);
  await holder.query('commit');
  expect(await create('day', 33)).toHaveLength(30);
});

test('a large default partition prevents new ones: it is not read under a lock', async () => {
  await database.query(`
    insert into pgwatch.notification_log (xid, created_at, channel, payload)
    select pg_current_xact_id(), now() + interval '1 year', 'far',
      to_jsonb(repeat(md5(n::text), 60))
    from generate_series(1, 12000) as n`);
  expect(await create('day', 8)).toEqual([]);
  const daemon = await startTailing(database.config, [{ id: 'c', channels: ['c'], handle() {} }]);
  await daemon.stop();
  expect(daemon.reports.join('')).toMatch(
    /default partition holds \d+ MB.*no partition can be created/,
  );
  await database.query('truncate pgwatch.notification_log');
  expect(await create('day', 8)).toHaveLength(5);
});
