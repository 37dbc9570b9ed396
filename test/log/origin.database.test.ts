import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { explain } from '../../src/inspect/why/explain.ts';
import { rebaseLog, requireOwnCluster } from '../../src/log/origin.ts';
import { collecting, startDaemon, startTailing } from '../helpers/daemon.ts';
import { type TestDatabase, useIsolatedServer } from '../helpers/database.ts';
import { publish, publishOneByOne } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';
import { some, wholeTest } from '../helpers/whole.ts';

/*
Goal: a log that comes from another cluster, or whose sequence was set back, is refused by name; and
after the remedy nothing is lost. Method: two servers, one of which has run many more transactions;
its rows are copied to the younger one as pg_restore does it, including stored xids.
*/

const older = useIsolatedServer();
const younger = useIsolatedServer();
let ageing: Client;

beforeAll(async () => {
  ageing = await older.connect();
  await ageing.query(`create procedure burn(n int) language plpgsql as $$
    begin for i in 1..n loop perform pg_current_xact_id(); commit; end loop; end $$`);
  await ageing.query('call burn(5000)');
});

beforeEach(async () => {
  for (const database of [older, younger]) {
    await database.query(
      `truncate pgwatch.notification_log, pgwatch.consumer_progress restart identity`,
    );
    // Truncating alone does not reset it.
    await database.query(`select setval('pgwatch.notification_log_id_seq', 1, false)`);
    await database.query(`update pgwatch.log_origin set rebased_id = 0`);
    await rememberPlace(database);
  }
});

afterAll(() => ageing.end());

/** Sets the origin of the log to this place, or to another one. */
async function rememberPlace(database: TestDatabase, change = ''): Promise<void> {
  await database.query(`update pgwatch.log_origin as o
    set system_id = place.system_id ${change}, log_oid = place.log_oid ${change}
    from pgwatch.log_place() as place`);
}

/** Runs the daemon until the consumer has received the last payload; returns all it received. */
async function handleUntil(database: TestDatabase, last: number): Promise<unknown[]> {
  const { seen, definition } = collecting();
  const daemon = await startTailing(database.config, [definition]);
  await until(`${last} arrives`, () => seen.includes(last) || `seen ${seen.length}`);
  await daemon.stop();
  return seen;
}

async function copyToYounger({ withSequence }: { withSequence: boolean }): Promise<void> {
  for (const table of ['notification_log', 'consumer_progress', 'log_origin']) {
    const { rows } = await older.query(
      `select to_jsonb(t)::text as row from pgwatch.${table} as t`,
    );
    if (table === 'log_origin') continue;
    const columns = await younger.query(
      `select string_agg(quote_ident(attname), ', ') as names from pg_attribute
       where attrelid = 'pgwatch.${table}'::regclass and attnum > 0 and attgenerated = ''`,
    );
    const { names } = columns.rows[0] as { names: string };
    await younger.query(
      `insert into pgwatch.${table} (${names}) overriding system value
       select ${names} from unnest($1::text[]) as source,
         jsonb_populate_record(null::pgwatch.${table}, source::jsonb) as r`,
      [rows.map(({ row }) => row)],
    );
  }
  if (!withSequence) return;
  const { rows } = await older.query('select last_value from pgwatch.notification_log_id_seq');
  await younger.query(`select setval('pgwatch.notification_log_id_seq', $1)`, [rows[0].last_value]);
}

async function refusal(database: TestDatabase): Promise<Error> {
  const daemon = startDaemon(database.config, [{ id: 'c', channels: ['c'], handle() {} }]);
  const error = await daemon.ended.then(
    () => new Error('it ran'),
    (thrown: Error) => thrown,
  );
  await daemon.stop().catch(() => {});
  return error;
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('a log restored into a younger cluster', () => {
  test('is refused; the remedy delivers what was not handled, and new ones', async () => {
    await publishOneByOne(older, 1, 20);
    expect(await handleUntil(older, 20)).toEqual(numbers(1, 20));
    await publishOneByOne(older, 21, 30);
    await copyToYounger({ withSequence: true });

    const error = await refusal(younger);
    expect(error).toMatchObject({ code: 'cluster_restored' });
    expect(error.message).toMatch(/another PostgreSQL cluster.*Run "pgwatch migrate rebase"/);

    await rebaseLog(younger.pool, 'pgwatch');
    await publishOneByOne(younger, 31, 33);
    expect(await handleUntil(younger, 33)).toEqual(numbers(21, 33));
    await publish(younger, 34);
    expect(await handleUntil(younger, 34)).toEqual([34]);
  });

  test('with fewer transactions is refused, too, and delivered after the remedy', async () => {
    await publishOneByOne(older, 1, 3);
    expect(await handleUntil(older, 3)).toEqual([1, 2, 3]);
    await publishOneByOne(older, 4, 5);
    // Both test servers are copies of one; this mimics what pg_restore brings along.
    await rememberPlace(older, '+ 1');
    expect((await refusal(older)).message).toMatch(
      /^The log was written by another PostgreSQL cluster: .* Run "pgwatch migrate rebase"/,
    );
    await rebaseLog(older.pool, 'pgwatch');
    await publish(older, 6);
    const seen = await handleUntil(older, 6);
    expect(seen.slice(-3)).toEqual([4, 5, 6]);
  });

  test("is refused if only an open transaction with a notification's xid shows it", async () => {
    await publishOneByOne(older, 1, 2);
    const open = await older.connect();
    await open.query('begin');
    const { rows } = await open.query('select pg_current_xact_id()::text as xid');
    expect(await requireOwnCluster(older.pool, older.config)).toBe(0);
    await older.query('update pgwatch.notification_log set xid = $1::xid8 where id = 1', [
      rows[0].xid,
    ]);
    await expect(requireOwnCluster(older.pool, older.config)).rejects.toMatchObject({
      code: 'cluster_restored',
    });
    await open.query('rollback');
    // What the asking transaction itself has written is not a sign of it.
    const own = await older.connect();
    await own.query(`begin; select smart_notify('c', '3')`);
    await older.query('delete from pgwatch.notification_log where id = 1');
    expect(await requireOwnCluster(own, older.config)).toBe(0);
    await own.query('rollback');
    await Promise.all([open.end(), own.end()]);
  });

  test('what pg_upgrade and a dump within the cluster preserve is not refused', async () => {
    for (const column of ['system_id', 'log_oid']) {
      await rememberPlace(older);
      await older.query(`update pgwatch.log_origin set ${column} = ${column} + 1`);
      expect(await requireOwnCluster(older.pool, older.config)).toBe(0);
    }
    await older.query('update pgwatch.log_origin set system_id = null, log_oid = null');
    expect(await requireOwnCluster(older.pool, older.config)).toBe(0);
  });

  test('still counts as handled what was handled before, even if moved back', async () => {
    await publishOneByOne(older, 1, 3);
    await handleUntil(older, 3);
    const arrived = async () => {
      const client = (await older.connect()) as Client;
      const { answers } = await explain(client, older.config, { id: 1, consumerId: 'c' });
      await client.end();
      return answers.map(({ isArrived }) => isArrived);
    };
    expect(await arrived()).toEqual([true]);
    await rememberPlace(older, '+ 1');
    await rebaseLog(older.pool, 'pgwatch');
    expect(await arrived()).toEqual([true]);
    await older.query('update pgwatch.consumer_progress set done_id = 2');
    expect(await arrived()).toEqual([true]);
  });

  test('keeps what committed late and was not handled', async () => {
    const late = await older.connect();
    await late.query('begin');
    await late.query(`select smart_notify('c', '100')`);
    await publishOneByOne(older, 1, 5);
    expect(await handleUntil(older, 5)).toEqual(numbers(1, 5));
    await late.query('commit');
    await late.end();
    await copyToYounger({ withSequence: true });
    await rebaseLog(younger.pool, 'pgwatch');
    expect(await handleUntil(younger, 100)).toContain(100);
  });

  test('keeps what was written before the remedy, even with the old sequence', async () => {
    await publishOneByOne(older, 1, 10);
    await handleUntil(older, 10);
    await copyToYounger({ withSequence: false });
    await publishOneByOne(younger, 11, 13);
    expect(await refusal(younger)).toMatchObject({ code: 'cluster_restored' });
    await rebaseLog(younger.pool, 'pgwatch');
    await publish(younger, 14);
    expect(await handleUntil(younger, 14)).toEqual(expect.arrayContaining(numbers(11, 14)));
  });

  test('is read in pages with rows of both clusters', async () => {
    await publishOneByOne(older, 1, 10);
    await copyToYounger({ withSequence: true });
    await rebaseLog(younger.pool, 'pgwatch');
    await publishOneByOne(younger, 11, 20);
    const { seen, definition } = collecting({ id: 'new' });
    const daemon = await startTailing({ ...younger.config, maxBatchSize: 3 }, [definition]);
    await daemon.stop();
    expect(seen).toEqual(numbers(1, 20));
  });

  test('keeps the event ids', async () => {
    await publishOneByOne(older, 1, 3);
    const ids = async ({ query }: TestDatabase) =>
      (await query('select event_id from pgwatch.notification order by id')).rows;
    const before = await ids(older);
    await copyToYounger({ withSequence: true });
    await rebaseLog(younger.pool, 'pgwatch');
    expect(await ids(younger)).toEqual(before);
  });
});

describe('a sequence that was set back', () => {
  test('is refused; the remedy delivers what was written since, and nothing twice', async () => {
    await publishOneByOne(younger, 1, 10);
    await handleUntil(younger, 10);
    await younger.query(`select setval('pgwatch.notification_log_id_seq', 3)`);
    await publishOneByOne(younger, 11, 13);

    const error = await refusal(younger);
    expect(error).toMatchObject({ code: 'cluster_restored' });
    expect(error.message).toMatch(/sequence.*set back.*Run "pgwatch migrate rebase"/);

    await rebaseLog(younger.pool, 'pgwatch');
    const { rows } = await younger.query(
      'select count(*) = count(distinct id) as is_unique from pgwatch.notification_log',
    );
    expect(rows).toEqual([{ is_unique: true }]);
    await publish(younger, 14);
    expect(await handleUntil(younger, 14)).toEqual(numbers(11, 14));
  });
});

describe('a discarded dead letter', () => {
  const discard = (database: TestDatabase, ids: number[]) =>
    database.query(`insert into pgwatch.discarded select 'c', unnest($1::bigint[])`, [ids]);
  const known = async ({ query }: TestDatabase) =>
    (await query('select notification_id::int as id from pgwatch.discarded order by 1')).rows.map(
      ({ id }) => id,
    );

  beforeEach(() => younger.query('truncate pgwatch.discarded'));

  test('reserves its id, even if the log has lost it', async () => {
    await discard(younger, [5]);
    expect((await refusal(younger)).message).toMatch(/a discarded dead letter of c/);
    await rebaseLog(younger.pool, 'pgwatch');
    expect(await known(younger)).toEqual([]);
    await publish(younger, 1);
    expect(await handleUntil(younger, 1)).toEqual([1]);
  });

  test('does not affect a notification that has received its id since', async () => {
    await publishOneByOne(younger, 1, 3);
    await handleUntil(younger, 3);
    await discard(younger, [2, 3]);
    await younger.query('delete from pgwatch.notification_log where id > 2');
    await younger.query(`select setval('pgwatch.notification_log_id_seq', 2)`);
    await publishOneByOne(younger, 4, 5);
    expect(await refusal(younger)).toMatchObject({ code: 'cluster_restored' });
    await rebaseLog(younger.pool, 'pgwatch');
    expect(await known(younger)).toEqual([2]);
    // The notification that had the id has a new one.
    expect(await handleUntil(younger, 4)).toEqual([5, 4]);
  });

  test('is delivered again after a restore that moves the position back', async () => {
    const late = await older.connect();
    await late.query('begin');
    await late.query(`select smart_notify('c', '100')`);
    await publishOneByOne(older, 1, 5);
    await handleUntil(older, 5);
    await late.query('commit');
    await late.end();
    await copyToYounger({ withSequence: true });
    await discard(younger, [4]);
    await younger.query(`
      insert into pgwatch.delivery (consumer_id, notification_id, state) values ('c', 5, 'dead');
      insert into pgwatch.lease (consumer_id, notification_ids, kind)
        values ('c', '{3}', 'orphan')`);
    await rebaseLog(younger.pool, 'pgwatch');
    const counts = ['delivery', 'discarded', 'lease'].map(
      async (table) => (await younger.query(`select from pgwatch.${table}`)).rowCount,
    );
    expect(await Promise.all(counts)).toEqual([0, 0, 0]);
    expect(await handleUntil(younger, 5)).toEqual([100, ...numbers(1, 5)]);
  });
});

test('a rebase names the transaction it waits for, and blocks no other publisher', async () => {
  const [held, other] = [await younger.connect(), await younger.connect()];
  await held.query(`set application_name = 'importer'; begin; select smart_notify('c', '1')`);
  const said: string[] = [];
  const rebasing = rebaseLog(younger.pool, 'pgwatch', (message) => said.push(message));
  await until('it says so', () => said.length > 0);
  await other.query(`select smart_notify('c', '2')`);
  await held.query('commit');
  expect(await rebasing).toMatchObject({ notifications: 2 });
  expect(said[0]).toMatch(
    /^Waiting for schema pgwatch: pid \d+ \(importer\) is idle in transaction/,
  );
  await Promise.all([held.end(), other.end()]);
});

wholeTest('a rebase does not handle many dead letters row by row', async () => {
  await younger.query(`
    select smart_notify('c', '1') from generate_series(1, 30000);
    insert into pgwatch.delivery (consumer_id, notification_id, state, first_failed_at)
    select 'c', id, 'dead', now() + interval '1 day' from pgwatch.notification_log;
    insert into pgwatch.discarded
    select 'd', id, now() + interval '1 day' from pgwatch.notification_log`);
  const client = await younger.connect();
  // Row by row it would take some minutes.
  await client.query(`set statement_timeout = '30s'`);
  expect(await rebaseLog(client, 'pgwatch')).toMatchObject({ notifications: 30_000 });
  await younger.query('truncate pgwatch.delivery, pgwatch.discarded');
  await client.end();
});

test('an event whose notification gets a new id is found by that id', async () => {
  const event = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
  const send = async (n: number) => {
    const { rows } = await younger.query(
      `select smart_notify('c', to_jsonb($1::int), event_id => $2)::float8 as id`,
      [n, event(n)],
    );
    return rows[0].id;
  };
  await younger.query('truncate pgwatch.published');
  expect(await send(1)).toBe(1);
  await younger.query(`select setval('pgwatch.notification_log_id_seq', 1, false)`);
  expect(await send(2)).toBe(1);
  await rebaseLog(younger.pool, 'pgwatch');
  expect([await send(1), await send(2)]).toEqual([1, 2]);
});

describe('ids shared by two notifications', () => {
  // None of them is handled yet, or some; the sequence has passed all known ids.
  test.each(some([0, 4]))(
    'are refused, and each notification is delivered once after the remedy (%i done)',
    async (done) => {
      await publishOneByOne(younger, 1, done);
      if (done > 0) expect(await handleUntil(younger, done)).toEqual(numbers(1, done));
      await publishOneByOne(younger, done + 1, 20);
      await younger.query(`select setval('pgwatch.notification_log_id_seq', 9)`);
      await publishOneByOne(younger, 21, 60);
      expect((await refusal(younger)).message).toMatch(
        new RegExp(
          '^Two notifications have the id 10: the sequence was set back\\.' +
            '.*Run "pgwatch migrate rebase"',
        ),
      );
      await rebaseLog(younger.pool, 'pgwatch');
      expect(await requireOwnCluster(younger.pool, younger.config)).toBe(0);
      const seen = (await handleUntil(younger, 31)) as number[];
      expect(seen.toSorted((a, b) => a - b)).toEqual(numbers(done + 1, 60));
    },
  );
});

describe('ids that are assigned again', () => {
  /**
   * Deletes the rows of the log and resets the sequence, as restoring a dump without the log does.
   */
  const loseLog = (lastId = 1) =>
    younger.query(
      `delete from pgwatch.notification_log;
       select setval('pgwatch.notification_log_id_seq', ${lastId}, false)`,
    );

  const file = (id: number) =>
    younger.query(
      `insert into pgwatch.delivery
         (consumer_id, notification_id, state, key, notification, payload, first_failed_at)
       select 'c', id, 'dead', key, pgwatch.delivery_notification(log), payload, now()
       from pgwatch.notification_log as log where id = $1`,
      [id],
    );

  afterEach(() => younger.query('truncate pgwatch.delivery, pgwatch.lease'));

  test.each(
    some([
      ['the position of c', () => handleUntil(younger, 10)],
      ['a delivery of c', () => file(10)],
      [
        'a lease of c',
        () =>
          younger.query(
            `insert into pgwatch.lease (consumer_id, notification_ids, kind)
             values ('c', '{9,10}', 'page')`,
          ),
      ],
    ]),
  )('are refused if %s has a higher one, but not after the remedy', async (what, prepare) => {
    await publishOneByOne(younger, 1, 10);
    await prepare();
    await loseLog();
    await publishOneByOne(younger, 11, 13);
    const error = await refusal(younger);
    expect(error).toMatchObject({ code: 'cluster_restored' });
    expect(error.message).toContain(`is at 3, but ${what} has id 10`);
    await rebaseLog(younger.pool, 'pgwatch');
    await publish(younger, 14);
    expect(await handleUntil(younger, 14)).toEqual(numbers(11, 14));
    expect(await requireOwnCluster(younger.pool, younger.config)).toBe(0);
  });

  test('are refused even after the sequence has passed the position again', async () => {
    await publishOneByOne(younger, 1, 10);
    expect(await handleUntil(younger, 10)).toEqual(numbers(1, 10));
    await loseLog();
    await publishOneByOne(younger, 11, 30);
    expect((await refusal(younger)).message).toMatch(
      /^Notification 1 was written after the position of c/,
    );
    await rebaseLog(younger.pool, 'pgwatch');
    expect(await handleUntil(younger, 30)).toEqual(numbers(11, 30));
  });

  test('are not confused with dead letters that had them before', async () => {
    await publishOneByOne(younger, 1, 3);
    await file(2);
    await loseLog();
    await publishOneByOne(younger, 11, 14);
    await rebaseLog(younger.pool, 'pgwatch');
    const seen = await handleUntil(younger, 14);
    expect(seen.toSorted()).toEqual(numbers(11, 14));
    const { rows } = await younger.query('select state, payload from pgwatch.delivery');
    expect(rows).toEqual([{ state: 'dead', payload: 2 }]);
  });

  test.each([
    [
      'a delivery that has not failed',
      `insert into pgwatch.delivery (consumer_id, notification_id, state, next_attempt_at)
       values ('c', 2, 'retry', now())`,
    ],
    [
      'a lease',
      `insert into pgwatch.lease (consumer_id, notification_ids, kind) values ('c', '{2}', 'page')`,
    ],
  ])('are not confused with %s', async (_, sql) => {
    await publishOneByOne(younger, 1, 3);
    await handleUntil(younger, 3);
    await younger.query(sql);
    await loseLog();
    await publishOneByOne(younger, 11, 14);
    await rebaseLog(younger.pool, 'pgwatch');
    const { rows } = await younger.query('select id::int from pgwatch.notification_log');
    expect(rows.map(({ id }) => id)).not.toContain(2);
    const seen = await handleUntil(younger, 14);
    expect(seen.toSorted()).toEqual(numbers(11, 14));
  });

  test('do not result from truncate … restart identity, even while a daemon runs', async () => {
    const { seen, definition } = collecting();
    const daemon = await startTailing(younger.config, [definition]);
    await publishOneByOne(younger, 1, 5);
    await until('5 arrives', () => seen.includes(5));
    await younger.query(`begin; truncate pgwatch.notification_log restart identity;
      select smart_notify('c', to_jsonb(n)) from generate_series(6, 20) as n; commit`);
    await until('20 arrives', () => seen.includes(20) || `seen ${seen}`);
    await daemon.stop();
    expect(seen).toEqual(numbers(1, 20));
  });

  test('stop a running daemon', async () => {
    const daemon = await startTailing(younger.config, [{ id: 'c', channels: ['c'], handle() {} }]);
    await publishOneByOne(younger, 1, 5);
    await until('its position is saved', async () => {
      const { rows } = await younger.query(
        `select from pgwatch.consumer_progress where done_id = 5`,
      );
      return rows.length === 1;
    });
    await loseLog();
    await expect(daemon.ended).rejects.toMatchObject({ code: 'cluster_restored' });
    await daemon.stop().catch(() => {});
  });
});

test('positions of another cluster without its log are refused, and the remedy works', async () => {
  await publishOneByOne(older, 1, 5);
  await handleUntil(older, 5);
  await older.query('truncate pgwatch.notification_log');
  await copyToYounger({ withSequence: false });
  expect((await refusal(younger)).message).toContain("A consumer's position was saved in another");
  await publishOneByOne(younger, 6, 8);
  await rebaseLog(younger.pool, 'pgwatch');
  await publish(younger, 9);
  expect(await handleUntil(younger, 9)).toEqual(numbers(6, 9));
});

test('a log in its own cluster is not refused, not even if it is empty', async () => {
  expect(await requireOwnCluster(younger.pool, younger.config)).toBe(0);
  await publishOneByOne(younger, 1, 2);
  expect(await requireOwnCluster(younger.pool, younger.config)).toBe(0);
});
