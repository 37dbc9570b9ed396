import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { requireIdsAhead, requireOwnCluster } from '../../src/log/origin.ts';
import { captureTable } from '../helpers/captured.ts';
import { startTailing } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addConsumers, addDelivery } from '../helpers/deliveries.ts';
import { diagnose, findingsOf } from '../helpers/doctor.ts';
import { makeProject, printingConsumer } from '../helpers/project.ts';
import { createRole } from '../helpers/role.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: the doctor sees what is wrong with tables, transactions, the log, consumers and daemons.
Method: each test brings about one such state, and reverts it.
*/

const database = useDatabase();
const find = (name: string, limits = {}) => findingsOf(database.config, name, limits);
const OTHER_DAEMON = '00000000-0000-0000-0000-00000000000e';
const DAEMON = '00000000-0000-0000-0000-00000000000d';

let undo: string[] = [];
async function given(sql: string, back: string): Promise<void> {
  undo.push(back);
  await database.query(sql);
}

beforeEach(async () => {
  undo = [];
  await emptyLog(database);
});
afterEach(async () => {
  for (const sql of undo.reverse()) await database.query(sql);
});

describe('overrides', () => {
  test('defaults set for a role or the database are found, with the SQL to reset', async () => {
    const { name } = await createRole(database, 'loader');
    const { rows } = await database.query('select current_database() as name');
    const base = rows[0].name as string;
    await database.query(`alter role "${name}" set session_replication_role = 'replica'`);
    await given(
      `alter database ${base} set pgwatch.notify = 'off'`,
      `alter database ${base} reset pgwatch.notify`,
    );
    await database.query(`alter role "${name}" in database ${base} set synchronous_commit = 'off'`);
    const { findings } = await diagnose(database.config, 'overrides');
    const of = findings.filter(({ what }) => what.includes(name) || what.includes(base));
    expect(of.map(({ level, what, fix }) => [level, what, fix])).toEqual([
      [
        'note',
        `pgwatch.notify is off for all sessions in database "${base}".`,
        `alter database "${base}" reset "pgwatch"."notify";`,
      ],
      [
        'problem',
        `session_replication_role is replica for sessions of role "${name}".`,
        `alter role "${name}" reset "session_replication_role";`,
      ],
      [
        'note',
        `synchronous_commit is off for sessions of role "${name}" in database "${base}".`,
        `alter role "${name}" in database "${base}" reset "synchronous_commit";`,
      ],
    ]);
    // The fixes are SQL that does what it says.
    for (const { fix } of of) await database.query(fix);
    const left = await find('overrides');
    expect(left.filter((what) => what.includes(name) || what.includes(base))).toEqual([]);
  });
});

test('a timeout set for a role is found, by that role', async () => {
  const role = await createRole(database, 'hurried');
  expect(await findingsOf({ ...database.config, url: role.url }, 'timeouts')).toEqual([]);
  await database.query(`alter role "${role.name}" set statement_timeout = '2s'`);
  const { findings } = await diagnose({ ...database.config, url: role.url }, 'timeouts');
  expect(findings[0]?.what).toBe('Sessions of this role start with statement_timeout 2.0 s.');
  // The remedy is SQL that the role itself may run.
  const { Client } = await import('pg');
  const client = new Client({ connectionString: role.url });
  await client.connect();
  await client.query((findings[0]?.fix ?? '').replace(/;.*/, ''));
  await client.end();
  expect(await findingsOf({ ...database.config, url: role.url }, 'timeouts')).toEqual([]);
});

describe('capture', () => {
  test('triggers that are disabled, or fire in replication only, are found', async () => {
    await captureTable(database, 'users', 'id int primary key');
    undo.push('drop table users');
    expect(await find('capture')).toEqual([]);
    await database.query('alter table users disable trigger "00_pgwatch_insert"');
    await database.query('alter table users disable trigger "00_pgwatch_update"');
    await database.query('alter table users enable replica trigger "00_pgwatch_delete"');
    const { findings } = await diagnose(database.config, 'capture');
    expect(findings.map(({ what }) => what)).toEqual([
      'Triggers of public.users are disabled: "00_pgwatch_insert", "00_pgwatch_update".',
      'Triggers of public.users fire only in replication: "00_pgwatch_delete".',
    ]);
    for (const { fix } of findings) await database.query(fix.slice(0, fix.indexOf(';')));
    expect(await find('capture')).toEqual([]);
  });

  test('a partition with a disabled copy of a trigger is found', async () => {
    await database.query('create table orders (id int primary key) partition by range (id)');
    undo.push('drop table orders');
    await database.query('create table orders_1 partition of orders for values from (1) to (100)');
    const client = await database.connect();
    const { createTrigger } = await import('../../src/capture/create-trigger.ts');
    await createTrigger(client, 'orders');
    expect(await find('capture')).toEqual([]);
    await database.query('alter table orders_1 disable trigger "00_pgwatch_insert"');
    expect(await find('capture')).toEqual([
      'problem: Triggers of the partition public.orders_1 are disabled: "00_pgwatch_insert".',
    ]);
  });

  test('a capture that no longer fits its table is found', async () => {
    await captureTable(database, 'users', 'id int primary key, tenant int');
    undo.push('drop table users');
    await database.query(
      'alter table users drop constraint users_pkey, add primary key (tenant, id)',
    );
    expect(await find('capture')).toEqual([
      'problem: The capture of public.users no longer fits the table: id id → tenant, id; ' +
        'key id → tenant, id.',
    ]);
  });

  test('differences from the config are found, and a table in it that does not exist', async () => {
    await captureTable(database, 'users', 'id int primary key');
    await captureTable(database, 'orders', 'id int primary key');
    await database.query('create table notes (id int primary key)');
    undo.push('drop table users, orders, notes');
    const triggers = { users: { channel: 'people' }, notes: {} };
    expect(await findingsOf({ ...database.config, triggers }, 'capture')).toEqual([
      'note: public.users is not captured as the config says: channel data_change → people.',
      'problem: public.notes is in the config, but is not captured.',
      'note: public.orders is captured, but is not in the config.',
    ]);
    expect(await findingsOf({ ...database.config, triggers: { userz: {} } }, 'capture')).toEqual([
      expect.stringMatching(/^problem: The config's triggers do not fit the database: .*userz/),
    ]);
  });
});

describe('the log', () => {
  test('a missing partition, and rows in the default one, are found', async () => {
    expect(await find('partitions')).toEqual([]);
    const { rows } = await database.query(
      `select c.relname as name from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
       where i.inhparent = 'pgwatch.notification_log'::regclass and c.relname ~ '\\d{8}$'`,
    );
    for (const { name } of rows) await database.query(`drop table pgwatch.${name}`);
    // In reverse order: rows in the default partition would prevent creating theirs.
    undo.push('select pgwatch.log_partition_create()', 'truncate pgwatch.notification_log');
    await database.query(`select smart_notify('orders')`);
    expect(await find('partitions')).toEqual([
      expect.stringMatching(
        /^note: The log has no partition for \d{4}-\d\d-\d\d 00:00 UTC and .* UTC\.$/,
      ),
      'note: The default partition holds 8.0 kB, as happens after days without a daemon.',
    ]);
    const [, full] = await find('partitions', { defaultPartitionBytes: 1 });
    expect(full).toMatch(/^problem: The default partition holds/);
    await database.query('delete from pgwatch.notification_log');
    expect(await find('partitions')).toHaveLength(1);
    const { findings } = await diagnose(database.config, 'partitions', {
      defaultPartitionBytes: 1,
    });
    expect(findings[1]?.fix).toBe('It is empty now: vacuum pgwatch.notification_log_default;');
  });

  test('a missing default partition is found', async () => {
    await given(
      'alter table pgwatch.notification_log detach partition pgwatch.notification_log_default',
      `alter table pgwatch.notification_log attach partition pgwatch.notification_log_default
        default`,
    );
    expect(await find('partitions')).toEqual(['problem: The log has no default partition.']);
    expect(await find('drift')).toEqual([
      'problem: Table pgwatch.notification_log_default is no longer a partition of the log.',
    ]);
  });

  test('for a large log the days and channels are named', async () => {
    for (const channel of ['orders', 'orders', 'orders', 'users']) {
      await database.query('select smart_notify($1)', [channel]);
    }
    expect(await find('log')).toEqual([]);
    const [large] = await find('log', { logBytes: 1 });
    expect(large).toMatch(/^note: The log holds \d+ kB: notification_log_\d{8} \d+ kB, /);
    expect(large).toMatch(
      /; channels of the newest 4 notifications: "orders" 75 %, "users" 25 %\.$/,
    );
  });

  test('a sequence set beyond what JavaScript can hold is found', async () => {
    await given(
      `select setval('pgwatch.notification_log_id_seq', 9007199254740000)`,
      `select setval('pgwatch.notification_log_id_seq', 1)`,
    );
    expect(await find('log')).toEqual([
      'problem: The ids of notifications have reached 9007199254740000.',
    ]);
  });

  test('a log of another cluster is found, and a position beyond its end', async () => {
    expect(await find('cluster')).toEqual([]);
    await database.query(
      `insert into pgwatch.notification_log (xid, channel) values ('99999999999', 'orders')`,
    );
    const { findings } = await diagnose(database.config, 'cluster');
    expect(findings).toMatchObject([
      {
        level: 'problem',
        what: expect.stringContaining('was written by another PostgreSQL cluster'),
        fix: 'Run "pgwatch migrate rebase" to make it this cluster\'s own.',
      },
    ]);
    await emptyLog(database);
    await addConsumers(database, ['email']);
    await database.query('update pgwatch.consumer_progress set done_id = 1000000');
    expect(await find('cluster')).toEqual([
      expect.stringMatching(
        /^problem: The sequence of .* ids is at \d+, but the position of email has id 1000000: /,
      ),
    ]);
  });

  test('a publication of the log is a note; a subscription into it stops daemons', async () => {
    await database.query('create table of_users (id int primary key)');
    await given('create publication everything for all tables', 'drop publication everything');
    expect(await find('cluster')).toEqual([
      expect.stringMatching(
        /^note: The publication everything includes pgwatch's own .*: consumer_channel, .* more\.$/,
      ),
    ]);
    await database.query(
      'drop publication everything; create publication everything for table of_users',
    );
    expect(await find('cluster')).toEqual([]);

    const client = await database.connect();
    // It is never visible outside, and rolled back at the end.
    await client.query(`begin;
      create subscription "S" connection 'dbname=x' publication everything with (connect = false)`);
    const write = (table: string) =>
      client.query(
        `insert into pg_subscription_rel (srsubid, srrelid, srsubstate)
         select oid, $1::regclass, 'r' from pg_subscription where subname = 'S'`,
        [table],
      );
    await write('of_users');
    const partition = await client.query(
      `select max(inhrelid::regclass::text) as name from pg_inherits
       where inhparent = 'pgwatch.notification_log'::regclass`,
    );
    await write(partition.rows[0].name);
    // The subscription is not enabled.
    await requireIdsAhead(client, database.config);
    await client.query(`update pg_subscription set subenabled = true where subname = 'S'`);
    for (const refuse of [requireOwnCluster, requireIdsAhead]) {
      await expect(refuse(client, database.config)).rejects.toThrow(
        new RegExp(
          /^The subscription "S" writes to pgwatch's own tables /.source +
            /\(notification_log_\w+\): .* Leave pgwatch's tables out of its publication, /.source +
            /run: alter subscription "S" refresh publication; /.source,
        ),
      );
    }
    await client.query('rollback');
  });

  test('dead rows are found', async () => {
    const client = await database.connect();
    await client.query(
      `insert into pgwatch.delivery (consumer_id, notification_id, state)
       select 'c', n, 'dead' from generate_series(1, 50) as n`,
    );
    await client.query('delete from pgwatch.delivery where notification_id > 2');
    // A session reports its statistics when it ends.
    await client.end();
    await until('they are counted', async () => {
      const [found = 'nothing'] = await find('vacuum', { deadRows: 40 });
      return found === 'note: Table pgwatch.delivery has 48 dead rows and 2 live ones.' || found;
    });
    expect(await find('vacuum')).toEqual([]);
  });
});

/** A daemon that says it is alive. */
const addDaemon = (values: string, id = DAEMON) =>
  database.query(
    `insert into pgwatch.daemon (daemon_id, host, pid, has_lock, consumer_ids, shared_ids,
      alive_until)
     values ('${id}', 'web-1', 42, ${values})`,
  );

describe('consumers', () => {
  test('a consumer with unread notifications and no daemon is found, unless paused', async () => {
    await addConsumers(database, ['email']);
    expect(await find('consumers')).toEqual([]);
    await database.query(`select smart_notify('orders'), smart_notify('else')`);
    await addDaemon(`false, '{else}', '{}', now() + interval '1 minute'`);
    expect(await find('consumers')).toEqual([
      'problem: No daemon runs email, which has 1 notification to read.',
    ]);
    await database.query(
      `update pgwatch.consumer_progress set saved_at = now() - interval '9 days'`,
    );
    expect((await find('consumers'))[0]).toMatch(/ Its position has not moved for 9 days\.$/);
    await database.query('update pgwatch.consumer_progress set paused_at = now()');
    expect(await find('consumers')).toEqual([
      expect.stringMatching(/^note: email has been paused since .*, until it is resumed\.$/),
    ]);
    await database.query(
      `update pgwatch.consumer_progress set paused_until = now() - interval '1 minute',
        paused_at = now() - interval '1 hour'`,
    );
    expect((await find('consumers'))[0]).toContain('No daemon runs email');
    await database.query(`update pgwatch.daemon set consumer_ids = '{email}'`);
    expect(await find('consumers')).toEqual([]);
  });

  test('without a live daemon there is one finding, and replays are not retries', async () => {
    await addConsumers(database, ['email', 'jobs', 'idle', 'off']);
    await addDelivery(database, { state: 'retry' });
    await addDelivery(database, { state: 'retry' });
    await database.query(
      `update pgwatch.delivery set replayed_at = now(), attempts = 0, last_failed_at = null,
        last_error = null
       where notification_id = (select max(notification_id) from pgwatch.delivery)`,
    );
    await database.query(
      `update pgwatch.consumer_progress set
         done_id = case when consumer_id in ('email', 'idle') then 1000000 else 0 end,
         paused_at = case when consumer_id = 'off' then now() end`,
    );
    const { findings } = await diagnose(database.config, 'consumers');
    expect(findings.filter(({ level }) => level === 'problem')).toEqual([
      expect.objectContaining({
        what:
          'No daemon is running: email has 1 notification waiting for a retry, and 1 ' +
          'notification to be replayed; jobs has 2 notifications to read.',
        fix: 'pgwatch listen',
      }),
    ]);
  });

  test('dead letters, late retries and leases of dead daemons are found', async () => {
    await addConsumers(database, ['email', 'jobs']);
    await addDelivery(database, { state: 'dead' });
    await addDelivery(database, { state: 'retry' });
    await database.query(`update pgwatch.consumer_progress set done_id = 1000000`);
    await database.query(
      `insert into pgwatch.lease (consumer_id, notification_ids, kind, owner)
        values ('jobs', '{1,2,3}', 'page', '${DAEMON}')`,
    );
    await addDaemon(`false, '{}', '{}', now() + interval '1 minute'`, OTHER_DAEMON);
    expect(await find('consumers')).toEqual([
      'problem: No daemon runs email, which has 1 notification waiting for a retry.',
      'problem: email has 1 dead letter.',
      'problem: No daemon runs jobs, which has 3 notifications to read (3 in leases of a ' +
        'daemon that has died).',
    ]);
    await database.query(
      `update pgwatch.daemon set consumer_ids = '{email}', shared_ids = '{jobs}'`,
    );
    expect(await find('consumers')).toEqual(['problem: email has 1 dead letter.']);
    await database.query(
      `update pgwatch.delivery set next_attempt_at = now() - interval '10 minutes'
        where state = 'retry'`,
    );
    expect((await find('consumers'))[1]).toMatch(
      /^problem: 1 retry of email, which is running, is late, the oldest by 10 min 0 s\.$/,
    );
  });

  test('a consumer that a daemon runs has no findings', async () => {
    const consumer = { id: 'email', channels: ['orders'], handle() {} };
    const daemon = await startTailing(database.config, [consumer]);
    await database.query(`select smart_notify('orders')`);
    for (const check of ['consumers', 'daemons', 'cluster']) expect(await find(check)).toEqual([]);
    const { checked } = await diagnose(database.config, 'consumers');
    expect(checked[0]?.seen).toBe('1 registered, 1 running');
    await daemon.stop();
    expect(await find('daemons')).toEqual([]);
  });

  test('a consumer that has stopped at a dead letter is reported as such', async () => {
    await addConsumers(database, ['email']);
    await addDelivery(database, { state: 'dead' });
    await addDaemon(`false, '{email}', '{}', now() + interval '1 minute'`);
    await database.query(
      `update pgwatch.daemon set activity = '{"consumers": {"email": {"state": "stopped"}}}'`,
    );
    await database.query(
      'update pgwatch.consumer_progress set owner = (select daemon_id from pgwatch.daemon)',
    );
    expect(await find('consumers')).toEqual(['problem: email has 1 dead letter, and has stopped.']);
  });

  test('an id in a command to be copied stays one word, whatever it is', async () => {
    await addConsumers(database, [`it's; reboot`]);
    await addDaemon(`false, '{}', '{}', now() + interval '1 minute'`);
    await database.query(`select smart_notify('orders')`);
    const { findings } = await diagnose(database.config, 'consumers');
    expect(findings[0]?.fix).toContain(`pgwatch listen --consumers 'it'\\''s; reboot';`);
  });

  test('consumer files that do not load, have never run, or are missing are found', async () => {
    await addConsumers(database, ['email', 'gone']);
    const folder = makeProject({
      'email.js': printingConsumer('email', ['orders']),
      'fresh.js': printingConsumer('fresh', ['orders']),
    });
    const files = { ...database.config, consumers: folder };
    expect(await findingsOf(files, 'consumer-files')).toEqual([
      expect.stringMatching(/^note: fresh has a file in .*, but has never run on this database\.$/),
      expect.stringMatching(/^note: gone is registered in the database, but has no file in /),
    ]);
    const faulty = { ...files, consumers: makeProject({ 'broken.js': 'export default 1;' }) };
    expect(await findingsOf(faulty, 'consumer-files')).toEqual([
      expect.stringMatching(/^problem: A consumer file could not be loaded/),
    ]);
  });

  test('daemons of several versions, as after an incomplete update, are found', async () => {
    await addDaemon(`false, '{}', '{}', now() + interval '1 minute'`);
    await database.query(
      `insert into pgwatch.daemon select gen_random_uuid(), host, 43, started_at, has_lock,
         consumer_ids, shared_ids, alive_until from pgwatch.daemon`,
    );
    await database.query(
      `update pgwatch.daemon set activity =
         jsonb_build_object('version', case pid when 42 then '1.0.0' else '1.1.0' end)`,
    );
    expect((await find('daemons')).at(-1)).toBe(
      'note: Daemons of different versions are running: 1.0.0, 1.1.0.',
    );
  });

  test('a daemon that died, hangs, or polls is found', async () => {
    await addDaemon(`true, '{email}', '{}', now() + interval '1 minute'`);
    expect(await find('daemons')).toEqual([
      'note: The daemon with pid 42 on web-1 ended without stopping cleanly.',
    ]);
    const control = await database.connect();
    const lock = 'pgwatch.daemon_class(), hashtext($1)';
    await control.query(`select pg_advisory_lock(${lock})`, [DAEMON]);
    expect(await find('daemons')).toEqual([]);
    await database.query(`update pgwatch.daemon set alive_until = now() - interval '2 minutes'`);
    expect(await find('daemons')).toEqual([
      expect.stringMatching(
        /^problem: .* is still connected, but has missed its heartbeats for 2 min \d s\.$/,
      ),
    ]);
    await control.query(`select pg_advisory_unlock(${lock})`, [DAEMON]);
    await database.query(
      `update pgwatch.daemon set has_lock = false, alive_until = now() + interval '1 minute'`,
    );
    expect(await find('daemons')).toEqual([
      'note: The daemon with pid 42 on web-1 has no session lock: it runs behind a ' +
        'transaction pooler.',
    ]);
  });
});
