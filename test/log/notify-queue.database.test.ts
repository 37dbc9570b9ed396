import { describe, expect, test } from 'vitest';
import { collecting, startTailing } from '../helpers/daemon.ts';
import { isolatedMajor, useIsolatedServer } from '../helpers/database.ts';
import { listening } from '../helpers/listening.ts';
import { until } from '../helpers/wait.ts';
import { wholeTest } from '../helpers/whole.ts';

// Before version 17 the queue always has 8 GB, which no test can fill.
const canFill = isolatedMajor() >= 17;
if (!canFill) console.warn('SKIPPED: a full NOTIFY queue, which needs PostgreSQL 17 or newer.');

describe.skipIf(!canFill)('a NOTIFY queue', () => {
  // The minimum that PostgreSQL allows: half a megabyte.
  const database = useIsolatedServer({ max_notify_queue_pages: '64' });

  test('that fills up does not break publishers: above half, they stop announcing', async () => {
    const { client: stuck } = await listening(database, 'stuck');
    // A listener inside a transaction keeps the queue from being emptied.
    await stuck.query('begin');
    await stuck.query('select 1');
    await database.query('create table captured (id int primary key, filling text)');
    await database.query(`create trigger capture after insert on captured
    for each row execute function notify_data_change('stuck')`);
    await database.query(`alter database postgres set pgwatch.notify = 'always'`);
    const writer = await database.connect();
    const filling = 'x'.repeat(7000);
    for (let id = 0; id < 150; id++) {
      await writer.query(`select smart_notify('stuck', to_jsonb($1::text))`, [filling]);
      await writer.query('insert into captured values ($1, $2)', [id, filling]);
    }
    const { rows } = await writer.query(
      `select count(*)::int, pg_notification_queue_usage() as usage from pgwatch.notification_log`,
    );
    expect(rows[0].count).toBe(300);
    expect(rows[0].usage).toBeGreaterThan(0.45);
    expect(rows[0].usage).toBeLessThan(0.6);
    // Without that bound the queue would have been full: a manual flood fails.
    const flood = `select pg_notify('stuck', n || repeat('x', 7900))
      from generate_series(1, 100) as n`;
    await expect(writer.query(flood)).rejects.toThrow('in the NOTIFY queue');
    // A client receives an error before the transaction has ended. A listener that reads the queue
    // before then stops there, and only another NOTIFY would wake it.
    await writer.query('select');
    await stuck.query('rollback');
  });

  test.each([
    [
      'smart_notify()',
      `select count(smart_notify('much', $1::jsonb)) from generate_series(1, 300)`,
    ],
    [
      'smart_notify_many()',
      `select smart_notify_many(
         array_fill('much'::text, array[300]), array_fill($1::jsonb, array[300]),
         array_fill(null::text, array[300]), array_fill(null::uuid, array[300]))`,
    ],
    ['capture', 'insert into much select n, $1::jsonb from generate_series(1, 300) as n'],
  ])('holds the announcements of one transaction by %s, however many', async (_, statement) => {
    await database.query(`
      truncate pgwatch.notification_log;
      drop table if exists much;
      create table much (id int primary key, filling jsonb);
      create trigger capture after insert on much
      for each row execute function notify_data_change('much')`);
    const writer = await database.connect();
    // Until its listener has read what the previous test left: above half, nothing is announced.
    await until('the queue is empty', async () => {
      const { rows } = await writer.query('select pg_notification_queue_usage() as usage');
      return rows[0].usage < 0.1 || `${rows[0].usage}`;
    });
    const { client, heard } = await listening(database, 'much');
    await writer.query(`set pgwatch.notify = 'always'`);
    await writer.query(statement, [JSON.stringify('x'.repeat(7000))]);
    const { rows } = await writer.query('select count(*)::int from pgwatch.notification_log');
    expect(rows[0].count).toBe(300);
    // The next transaction uses its own part of the queue.
    await writer.query(`select smart_notify('much', '"last"')`);
    await until('the last is heard', () =>
      heard.some(({ payload }) => payload?.includes('"last"')),
    );
    expect(heard.length).toBeGreaterThan(5);
    expect(heard.length).toBeLessThan(20);
    await client.query('unlisten *');
  });

  test('regains the room of announcements that a savepoint rolled back', async () => {
    const { client, heard } = await listening(database, 'back');
    const writer = await database.connect();
    await writer.query('begin; savepoint a');
    await writer.query(
      `select smart_notify('back', to_jsonb(repeat('x', 7000))) from generate_series(1, 100)`,
    );
    await writer.query('rollback to a');
    await writer.query(`select smart_notify('back', '"kept"'); commit`);
    await until('it is heard', () => heard.length === 1);
    expect(heard[0]?.payload).toContain('"kept"');
    await client.query('unlisten *');
  });

  test('wakes a daemon even for a notification that was not announced', async () => {
    const { seen, definition } = collecting({ id: 'late', channels: ['late'] });
    const config = { ...database.config, pollIntervalMs: 600_000 };
    const daemon = await startTailing(config, [definition]);
    await daemon.transitions.for({ type: 'asleep' });
    await database.query(
      `select smart_notify('other', to_jsonb(repeat('x', 7000))) from generate_series(1, 50);
       select smart_notify('late', '1')`,
    );
    await until('it arrives', () => seen.length === 1);
    await daemon.stop();
  });

  wholeTest('that is full does not stop a daemon: it polls until the queue has room', async () => {
    const { client: stuck } = await listening(database, 'stuck');
    await stuck.query('begin');
    await stuck.query('select 1');
    const fill = async () => {
      for (;;) await database.query(`select pg_notify('stuck', repeat('x', 7900))`);
    };
    await expect(fill()).rejects.toThrow('in the NOTIFY queue');
    await database.query('select');
    const { seen, definition } = collecting();
    const config = { ...database.config, pollIntervalMs: 50 };
    const daemon = await startTailing(config, [definition]);
    await database.query(`select smart_notify('c', '1')`);
    await until('it arrives', () => seen.length === 1);
    expect(daemon.reports.join('')).toContain('LISTEN does not work on this connection (too many');
    await stuck.query('rollback');
    await daemon.transitions.for({ type: 'listening', mode: 'doorbell' });
    await daemon.transitions.for({ type: 'asleep' });
    await database.query(`select smart_notify('c', '2')`);
    await until('it arrives', () => seen.length === 2);
    await daemon.stop();
  });
});
