import { beforeEach, expect, test } from 'vitest';
import { lockSharedConsumer } from '../../src/log/leases/lease.ts';
import { collecting, startTailing } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { addConsumers } from '../helpers/deliveries.ts';
import { runMain } from '../helpers/main.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
let ids: number[] = [];

/** All are done: the position is at the last of twenty. */
beforeEach(async () => {
  await emptyLog(database);
  await addConsumers(database, ['email']);
  const { rows } = await database.query(
    `select smart_notify('orders', to_jsonb(n))::float8 as id from generate_series(1, 20) as n`,
  );
  ids = rows.map(({ id }) => id);
  await database.query(
    `update pgwatch.consumer_progress set done_id = $1, done_snapshot = pg_current_snapshot()`,
    [ids[19]],
  );
});

async function seek(...args: (string | number)[]) {
  const result = await runMain(['seek', ...args.map(String)], {
    env: { DATABASE_URL: database.url },
  });
  return { ...result, said: result.stderr.replaceAll(/^\d\d:\d\d:\d\d /gm, '').trimEnd() };
}

const doneId = async () => {
  const { rows } = await database.query(
    'select done_id::float8 as id from pgwatch.consumer_progress',
  );
  return (rows[0] as { id: number }).id;
};

test('seek prints the plan, and changes nothing without a yes', async () => {
  await database.query(
    `insert into pgwatch.delivery (consumer_id, notification_id, state)
     values ('email', $1, 'dead'), ('email', $2, 'retry')`,
    [ids[17], ids[18]],
  );
  const [from, to] = [ids[19], ids[14]];
  const plan = await seek('email', '--to', '-5', '--dry-run');
  expect(plan.stdout.split('\n')).toEqual([
    'email',
    `  position      ${from} → ${to} (back)`,
    '  again         5 notifications on its channels',
    '  waiting       1 in between wait for a retry, and are repeated with the others',
    '  dead          1 dead letter in between, repeated with the others',
    `  log           ids ${ids[0]} to ${from}`,
    '  running       no daemon runs it',
    '',
  ]);
  expect(plan.said).toBe('');
  expect([plan.exitCode, await doneId()]).toEqual([0, from]);

  const unanswered = await seek('email', '--to', '-5');
  expect(unanswered.said).toBe(
    `error Move email from ${from} to ${to}? This is not a terminal, so it cannot ask: pass ` +
      `--yes to proceed.`,
  );
  expect([unanswered.exitCode, await doneId()]).toEqual([2, from]);

  const done = await seek('email', '--to', '-5', '--yes');
  expect(done.said.split('\n')).toEqual([
    `Moved email from ${from} to ${to}.`,
    '2 notifications that waited for a retry, or were dead, will be delivered in turn.',
    'No daemon runs it: "pgwatch listen" continues from there.',
  ]);
  expect([done.exitCode, await doneId()]).toEqual([0, to]);

  const forward = await seek('email', '--to', 'now', '--execute', '--json');
  expect(JSON.parse(forward.stdout)).toMatchObject({
    consumerId: 'email',
    dryRun: false,
    fromId: to,
    toId: from,
    skipped: 5,
    again: 0,
    isLive: false,
  });
});

test('seek reports how many notifications were leased, and are read again', async () => {
  await database.query('update pgwatch.consumer_progress set is_shared = true');
  await database.query(
    `insert into pgwatch.lease (consumer_id, slot, kind, notification_ids)
     values ('email', 1, 'page', $1), ('email', 2, 'page', $2)`,
    [ids.slice(10, 14), ids.slice(17)],
  );
  const back = await seek('email', '--to', '-5', '--yes', '--json');
  expect(JSON.parse(back.stdout)).toMatchObject({ released: 3, reread: 0 });
});

test('if the position moves after the plan was made, seek says so and moves nothing', async () => {
  const other = await database.connect();
  await other.query('begin');
  await lockSharedConsumer(other, 'pgwatch', 'email');
  const seeking = seek('email', '--to', '-5', '--yes');
  await until('it waits', async () => {
    const { rowCount } = await database.query(
      `select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`,
    );
    return rowCount === 1;
  });
  await other.query('update pgwatch.consumer_progress set epoch = epoch + 1; commit');
  const { said, exitCode } = await seeking;
  expect(said).toMatch(
    /^error email has changed since the plan was made, .* seek again for a new plan/,
  );
  expect([exitCode, await doneId()]).toEqual([1, ids[19]]);
  await other.end();
});

test('seek requires --live while a daemon runs the consumer', async () => {
  const { seen, definition } = collecting({ id: 'email', channels: ['orders'] });
  const daemon = await startTailing(database.config, [definition]);
  const refused = await seek('email', '--to', ids[17] as number, '--yes');
  expect(refused.stdout).toContain('running       a daemon runs it: requires --live');
  expect(refused.said).toMatch(
    /^error A daemon runs email: stop it, pause the consumer, or pass --live/,
  );
  expect(refused.exitCode).toBe(1);
  const moved = await seek('email', '--to', ids[17] as number, '--live', '--yes');
  expect(moved.stdout).toMatch(/running {7}a daemon runs it\n$/);
  expect([moved.exitCode, moved.said]).toEqual([0, `Moved email from ${ids[19]} to ${ids[16]}.`]);
  await until('they come again', () => seen.length >= 3 || `${seen}`);
  await daemon.stop();
  expect(seen).toEqual([18, 19, 20]);
});

test('seek refuses an id beyond the newest, and reports a dead letter that stops it', async () => {
  const newest = ids[19] as number;
  const ahead = await seek('email', '--to', newest + 2, '--yes');
  expect(ahead).toMatchObject({ exitCode: 2, stdout: '' });
  expect(ahead.said).toBe(
    `error There is no notification ${newest + 2} yet: the newest notification is ${newest}. ` +
      'To skip everything, seek to now.',
  );
  const future = await seek('email', '--to', '2999-01-01', '--yes');
  expect([future.exitCode, future.said]).toEqual([2, expect.stringContaining('in the future')]);
  await database.query(
    `insert into pgwatch.daemon
       (daemon_id, host, pid, has_lock, consumer_ids, shared_ids, alive_until, activity)
     values (gen_random_uuid(), 'h', 7, false, '{email}', '{}', now() + interval '1 hour',
       '{"consumers": {"email": {"state": "stopped"}}}')`,
  );
  const { stdout, exitCode } = await seek('email', '--to', newest + 1, '--dry-run');
  await database.query('delete from pgwatch.daemon');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/stopped {7}at a dead letter, until it is retried or discarded: pgwatch/);
});

test.each([
  [['email'], "required option '--to <target>' not specified"],
  [['email', '--to', 'yesterday'], 'Give start, now, an id, +100 or -100'],
  [['email', '--to', '+0'], 'Give start, now, an id, +100 or -100'],
  [['emial', '--to', 'now'], 'There is no consumer "emial" in the database. Did you mean "email"?'],
])('%j is refused with a sentence', async (args, sentence) => {
  const { exitCode, said } = await seek(...args);
  expect(said).toContain(sentence);
  expect(exitCode).toBe(2);
});
