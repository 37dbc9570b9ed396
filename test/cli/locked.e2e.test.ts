import { afterEach, beforeEach, expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { findingsOf } from '../helpers/doctor.ts';
import { runMain } from '../helpers/main.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: if the log is locked, commands report who locks it, and do not wait.
Method: one session reads in a transaction that stays open, another waits for an ALTER TABLE.
*/

const database = useDatabase();
let pids: { holder: number; waiter: number };
let end: () => Promise<void>;

beforeEach(async () => {
  const [holder, waiter] = [await database.connect(), await database.connect()];
  const pidOf = async (client: typeof holder) =>
    (await client.query(
      "set application_name = 'the-app'; select pg_backend_pid() as pid",
    )) as unknown as {
      rows: { pid: number }[];
    }[];
  pids = {
    holder: (await pidOf(holder))[1]?.rows[0]?.pid ?? 0,
    waiter: (await pidOf(waiter))[1]?.rows[0]?.pid ?? 0,
  };
  await holder.query('begin; select from pgwatch.notification_log limit 1');
  const altered = waiter.query(
    'alter table pgwatch.notification_log alter column id set default 0',
  );
  altered.catch(() => {});
  await until('the second waits', async () => {
    const { rows } = await database.query('select from pg_locks where pid = $1 and not granted', [
      pids.waiter,
    ]);
    return rows.length === 1 || 'not yet';
  });
  end = async () => {
    await database.query('select pg_cancel_backend($1)', [pids.waiter]);
    await altered.catch(() => {});
    await holder.query('rollback');
  };
});
afterEach(() => end());

test('commands that read report who blocks them, and how to end it', async () => {
  const commands = [
    ['status', '--check'],
    ['why', '1'],
    ['tail', '--from', 'start'],
    ['show', '1'],
  ];
  const results = await Promise.all(
    commands.map((args) => runMain(args, { env: { DATABASE_URL: database.url } })),
  );
  for (const { exitCode, stdout, stderr } of results) {
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      new RegExp(
        `error The table pgwatch\\.notification_log is locked: pid ${pids.holder} ` +
          `\\(the-app\\) holds it, idle in transaction for .*; pid ${pids.waiter} ` +
          `\\(the-app\\) waits to lock it, active for .*: alter table ` +
          `pgwatch\\.notification_log .*\\. Wait until that is done, or end it: select ` +
          `pg_terminate_backend\\(${pids.holder}\\);\n$`,
      ),
    );
  }
}, 30_000);

test('the doctor reports the lock as a problem', async () => {
  const findings = await findingsOf(database.config, 'locks', { lockMs: 0 });
  expect(findings).toEqual([
    expect.stringMatching(
      `^problem: The table pgwatch\\.notification_log is locked: pid ${pids.holder} .*; pid ` +
        `${pids.waiter} `,
    ),
  ]);
  expect(await findingsOf(database.config, 'locks', { lockMs: 3_600_000 })).toEqual([]);
});

test('a session that holds the lock alone is found, too', async () => {
  await end();
  const holder = await database.connect();
  await holder.query('begin; lock table pgwatch.delivery, pgwatch.notification_log');
  end = async () => void (await holder.query('rollback'));
  // Partitions, which are locked with their table, are not reported one by one.
  expect(await findingsOf(database.config, 'locks', { lockMs: 0 })).toEqual([
    expect.stringMatching(
      /^problem: The table pgwatch\.delivery is locked: pid \d+ holds it, idle/,
    ),
    expect.stringMatching(/^problem: The table pgwatch\.notification_log is locked: pid \d+ holds/),
  ]);
});
