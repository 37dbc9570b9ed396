import { afterEach, expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { withConnection } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { uninstall } from '../../src/database/uninstall.ts';
import { createPartitions } from '../../src/log/partitions.ts';
import { cleanLog } from '../../src/log/retention/clean-log.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { collecting, startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { diagnose } from '../helpers/doctor.ts';
import { createPastDay, finishConsumer, forgetPast, publishPast } from '../helpers/past.ts';

/*
Goal: event triggers of others, which run with our DDL, stop neither consumers nor cleanup; if a
command cannot continue, it names them.
*/

const database = useDatabase();
afterEach(() =>
  database.query('drop event trigger if exists guard; drop function if exists guard()'),
);

/** What such functions do in practice. */
const GUARDS: Record<string, string> = {
  'writes to a table by its bare name': `begin insert into ddl_history values (tg_tag); end`,
  'refuses everything': `begin raise exception 'No DDL before the audit.'; end`,
  'lacks a privilege': `begin raise insufficient_privilege using message = 'not you'; end`,
};

async function guard(
  body: string,
  event: string,
  { query }: { query(sql: string): Promise<unknown> } = database,
): Promise<void> {
  await query(`create function guard() returns event_trigger language plpgsql as $$ ${body} $$`);
  await query(`create event trigger guard on ${event} execute function guard()`);
}

async function dropDays(): Promise<void> {
  await database.query(`do $$ declare name text; begin
    for name in select p.name from pgwatch.log_partitions() as p where p.ends is not null
    loop execute format('drop table pgwatch.%I', name); end loop; end $$`);
  await database.query('truncate pgwatch.notification_log, pgwatch.consumer_progress');
}

test.each(Object.entries(GUARDS))(
  'a daemon starts despite an event trigger that %s, and warns',
  async (_, body) => {
    await dropDays();
    await guard(body, 'ddl_command_end');
    await database.query(`select smart_notify('ch', '"in the default partition"')`);
    const { seen, definition } = collecting({ channels: ['ch'] });
    const daemon = await startTailing(database.config, [definition]);
    await daemon.stop();
    expect(daemon.reports.filter((line) => line.includes('warning'))).toEqual([
      expect.stringMatching(
        /partitions cannot be created: .* Event trigger guard .* nothing is lost\./,
      ),
    ]);
    expect(seen).toEqual(['in the default partition']);
    const { findings } = await diagnose(database.config, 'partitions');
    expect(findings.map(({ fix }) => fix)).toContainEqual(
      expect.stringMatching(/an event trigger of this database \(guard\) prevents that\.$/),
    );
  },
);

test('partitions are created if an event trigger is harmless or disabled', async () => {
  await dropDays();
  await guard('begin null; end', 'ddl_command_end');
  const { created, failure } = await createPartitions(database.pool, database.config);
  expect([created.length, failure]).toEqual([4, null]);
});

test('a partition that an event trigger keeps is emptied, and the others follow', async () => {
  for (const day of [5, 6]) await createPastDay(database, day);
  for (const day of [5, 6]) await publishPast(database, day, ['done']);
  await finishConsumer(database);
  await guard(`begin raise exception 'Nothing is dropped here.'; end`, 'sql_drop');
  const { signal } = new AbortController();
  const options = { schema: 'pgwatch', before: new Date('2020-02-01'), patienceMs: 0, signal };
  const cleaned = await withConnection(database.config, (client) =>
    Array.fromAsync(cleanLog(client, { ...options, needed: 'keep', scope: 'all' })),
  );
  const outcome = {
    outcome: 'emptied',
    heldBy: 'event trigger guard says: Nothing is dropped here.',
  };
  expect(cleaned).toMatchObject([outcome, outcome]);
  await database.query('drop event trigger guard');
  await forgetPast(database);
});

test('migrate, uninstall and capture name the event trigger, and a remedy', async () => {
  const empty = await createEmptyDatabase();
  const config = await empty.configWith({});
  await guard(`begin insert into ddl_history values (tg_tag); end`, 'ddl_command_end', empty);
  const named = /ddl_history" does not exist\. Event trigger guard .*public\.guard\(\).* disable/;
  await expect(migrateUp(empty.client, config)).rejects.toThrow(named);
  await empty.query('alter event trigger guard disable');
  await migrateUp(empty.client, config);
  await empty.query('create table public.orders (id int primary key)');
  await empty.query('alter event trigger guard enable');
  await expect(createTrigger(empty.client, 'public.orders')).rejects.toThrow(
    / Event trigger guard /,
  );
  await empty.query('drop event trigger guard; drop function public.guard()');
  await guard(`begin raise exception 'No.'; end`, 'sql_drop', empty);
  await expect(uninstall(empty.client, config)).rejects.toThrow(
    /^Uninstalling failed and was rolled back: No\. Event trigger guard /,
  );
});
