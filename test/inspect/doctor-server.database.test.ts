import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { startEmbedded } from '../../src/embedded/server.ts';
import { isolatedMajor, useIsolatedServer } from '../helpers/database.ts';
import { diagnose, findingsOf } from '../helpers/doctor.ts';
import { listening } from '../helpers/listening.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: the doctor finds what is wrong with a server, and nothing on a healthy one.
Method: a server of its own, since its settings, its queue and its slots affect all databases.
*/

const SETTINGS = {
  fsync: 'on',
  wal_level: 'logical',
  max_connections: '100',
  max_prepared_transactions: '5',
  ...(isolatedMajor() >= 17 && { max_notify_queue_pages: '64' }),
};
const database = useIsolatedServer(SETTINGS);

/** Changes a setting of the server, and resets it after the work. */
async function withSetting(name: string, value: string, work: () => Promise<void>): Promise<void> {
  const client = await database.connect();
  const reload = async (expected: RegExp) => {
    await client.query('select pg_reload_conf()');
    await until(`${name} is set`, async () => {
      const { rows } = await database.query('select pg_catalog.current_setting($1) as now', [name]);
      return expected.test(rows[0].now);
    });
  };
  const { rows } = await client.query('select current_setting($1) as before', [name]);
  await client.query(`alter system set ${name} = '${value}'`);
  await reload(new RegExp(`^${value}$`));
  try {
    await work();
  } finally {
    await client.query(`alter system reset ${name}`);
    await reload(new RegExp(`^${rows[0].before}$`));
  }
}

beforeAll(async () => {
  await database.query('create table users (id int primary key)');
});

test('a healthy server has no findings', async () => {
  const { findings, checked } = await diagnose(database.config, 'all');
  // The release itself may be outdated by now.
  expect(findings.filter(({ check }) => check !== 'version')).toEqual([]);
  expect(checked.map(({ outcome }) => outcome)).not.toContain('unchecked');
  expect(checked.find(({ check }) => check === 'listen')?.seen).toMatch(
    /^\d+\.\d ms from NOTIFY to LISTEN$/,
  );
});

test('settings that lose data are found, with where they are set', async () => {
  await withSetting('synchronous_commit', 'off', async () => {
    const { findings } = await diagnose(database.config, 'settings');
    expect(findings).toEqual([
      {
        check: 'settings',
        level: 'note',
        what: 'synchronous_commit is off (set in the configuration file).',
        why: expect.stringContaining('the last commits are lost'),
        fix: 'alter system set synchronous_commit = on; select pg_reload_conf();',
      },
    ]);
  });
  await withSetting('full_page_writes', 'off', async () => {
    expect(await findingsOf(database.config, 'settings')).toEqual([
      'problem: full_page_writes is off (set in the configuration file).',
    ]);
  });
  expect(await findingsOf(database.config, 'settings')).toEqual([]);
});

test('a pool that is too large for the server is found', async () => {
  const config = { ...database.config, poolSize: 100 };
  expect(await findingsOf(config, 'capacity')).toEqual([
    'problem: One daemon may open 101 connections (poolSize 100 and one more), ' +
      'but max_connections minus the reserved connections allows 97.',
  ]);
  await database.query('alter database postgres connection limit 8');
  try {
    expect(await findingsOf(database.config, 'capacity')).toEqual([
      expect.stringContaining('the connection limit of this database allows 8'),
    ]);
  } finally {
    await database.query('alter database postgres connection limit -1');
  }
});

test('an open transaction is a note, later a problem, and is identified', async () => {
  const client = await database.connect();
  await client.query(`set application_name = 'report'`);
  await client.query('begin');
  await client.query('select 1 as forgotten');
  expect(await findingsOf(database.config, 'transactions')).toEqual([]);
  expect(await findingsOf(database.config, 'transactions', { transactionNoteMs: 0 })).toEqual([
    expect.stringMatching(
      new RegExp(
        /^note: A transaction stays open: pid \d+ \(report, database "postgres"\) is /.source +
          /idle in transaction, open for .*: select 1 as forgotten\.$/.source,
      ),
    ),
  ]);
  const limits = { transactionNoteMs: 0, transactionProblemMs: 0 };
  const [problem] = (await diagnose(database.config, 'transactions', limits)).findings;
  expect(problem?.level).toBe('problem');
  // The fix ends it.
  await database.query((problem?.fix ?? '').replace(/;.*/, ''));
  await until('it is gone', async () => {
    return (await findingsOf(database.config, 'transactions', limits)).length === 0;
  });
});

test('a prepared transaction is found', async () => {
  await database.query(`begin; create table never (id int); prepare transaction 'it''s mine'`);
  const { findings } = await diagnose(database.config, 'transactions', { transactionNoteMs: 0 });
  expect(findings.map(({ what }) => what)).toEqual([
    expect.stringMatching(
      /^The prepared transaction 'it''s mine' of postgres in .* "postgres" has been pending for /,
    ),
  ]);
  expect(findings[0]?.fix).toContain(`rollback prepared 'it''s mine';`);
  await database.query(`rollback prepared 'it''s mine'`);
});

test('an unused replication slot is found', async () => {
  await database.query(`select pg_create_logical_replication_slot('forgotten', 'pgoutput')`);
  for (let n = 0; n < 3; n++) await database.query('select pg_current_xact_id()');
  expect(await findingsOf(database.config, 'transactions', { slotXids: 2 })).toEqual([
    expect.stringMatching(
      /^problem: .* slot "forgotten" is unused, and holds vacuum back by \d+ transactions\.$/,
    ),
  ]);
  expect(await findingsOf(database.config, 'transactions')).toEqual([]);
  await database.query(`select pg_drop_replication_slot('forgotten')`);
});

test('sessions that wait for each other to commit a NOTIFY are found', async () => {
  await withSetting('synchronous_standby_names', 'nobody', async () => {
    const publish = async () => {
      const client = await database.connect();
      // A commit that waits for a standby holds the lock.
      return client.query(`select smart_notify('orders')`);
    };
    const publishing = [publish(), publish()];
    await until('one waits for the other', async () => {
      return (await findingsOf(database.config, 'queue', { notifyWaitMs: 1 })).length === 1;
    });
    const { findings } = await diagnose(database.config, 'queue', { notifyWaitMs: 1 });
    expect(findings[0]?.what).toMatch(
      /^1 session is waiting to commit a NOTIFY, for up to .*\. pid \d+ holds the lock\.$/,
    );
    expect(await findingsOf(database.config, 'queue', { notifyWaitMs: 600_000 })).toEqual([]);
    await database.query('alter system reset synchronous_standby_names');
    await database.query('select pg_reload_conf()');
    await Promise.all(publishing);
  });
});

test.skipIf(isolatedMajor() < 17)(
  'a queue that fills up is found, with the open transaction that holds it',
  async () => {
    const { client: stuck } = await listening(database, 'stuck');
    await stuck.query('begin');
    await stuck.query('select 1');
    for (let n = 0; n < 10; n++)
      await database.query(`select pg_notify('stuck', repeat('x', 7000))`);
    const { findings } = await diagnose(database.config, 'queue');
    expect(findings[0]).toMatchObject({
      level: 'note',
      what: expect.stringMatching(
        /^The NOTIFY queue is \d+ % full\. .* is idle in transaction, open for /,
      ),
      fix: expect.stringMatching(/select pg_terminate_backend\(\d+\);$/),
    });
    const fill = async () => {
      for (;;) await database.query(`select pg_notify('stuck', repeat('x', 7900))`);
    };
    await expect(fill()).rejects.toThrow('in the NOTIFY queue');
    expect((await diagnose(database.config, 'queue')).findings[0]?.level).toBe('problem');
    expect(await findingsOf(database.config, 'listen')).toEqual([
      'problem: LISTEN does not work: too many notifications in the NOTIFY queue.',
    ]);
    await stuck.query('rollback');
    await until('the queue is empty', async () => {
      const { rows } = await database.query('select pg_notification_queue_usage() as usage');
      return rows[0].usage === 0 || `${rows[0].usage} is left`;
    });
  },
);

test('a round trip that takes too long is found', async () => {
  expect(await findingsOf(database.config, 'listen', { listenMs: -1 })).toEqual([
    expect.stringMatching(/^note: A NOTIFY takes \d+ ms to come back\.$/),
  ]);
});

test('a standby is found, and checked as far as possible', async () => {
  const { folder } = database.server;
  await database.server.stop();
  writeFileSync(join(folder, 'data', 'standby.signal'), '');
  // A standby needs settings at least as high as its primary's.
  const port = Number(new URL(database.url).port);
  const binaries = process.env.PGWATCH_TEST_BINARIES;
  const settings = SETTINGS;
  Object.assign(database.server, await startEmbedded({ folder, port, binaries, settings }));
  const { findings, checked } = await diagnose(database.config, 'all');
  const problems = findings.filter(({ level }) => level === 'problem');
  expect(problems.map(({ what }) => what)).toEqual([
    'The connection leads to a standby, which is read-only.',
    'LISTEN does not work: cannot execute LISTEN during recovery.',
  ]);
  expect(checked.filter(({ outcome }) => outcome === 'unchecked')).toEqual([]);
});
