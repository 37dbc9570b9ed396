import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConsumerContext, ConsumerDefinition } from '../../src/consumers/define.ts';
import type { Notification } from '../../src/log/notification.ts';
import { startTailing, type TestDaemon } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { findPgBouncer, type PgBouncer, startPgBouncer } from '../helpers/pgbouncer.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: each call begins with a clean session, whatever an earlier call of any consumer has left on
it: with and without a transaction, behind a pooler, and whether the earlier call succeeded or
failed.
Method: one connection for all handlers; one call leaves something, and the next one looks for it.
*/

const database = useDatabase({ poolSize: 2, pollInterval: '100ms' });
const program = findPgBouncer() ?? '';
if (!program) console.warn('SKIPPED: clean sessions behind a pooler. Install PgBouncer.');

beforeAll(() =>
  database.query(`
    create schema tenant1;
    create role another;
    create function hidden() returns void language sql as $$
      select set_config('app.tenant', 'hidden', false) $$;`),
);
afterAll(() => database.query('drop role another'));

/** What is left on the session, and the statements that leave it. */
const leavings: [string, string[]][] = [
  ['search_path', ['set search_path = tenant1']],
  ['a timeout', [`set statement_timeout = '7s'`]],
  ['a setting of this transaction only', ['set local search_path = tenant1']],
  ['a setting by a function', [`select set_config('app.tenant', 'seven', false)`]],
  ['a setting in a function', ['select hidden()']],
  ['a role', ['set role another']],
  ['a session authorization', ['set session authorization another']],
  ['LISTEN', ['listen left_behind']],
  ['an advisory lock', ['select pg_advisory_lock(4242)', 'select pg_advisory_lock_shared(4242)']],
  ['a temporary table', ['create temporary table left_behind (id int)']],
  [
    'a prepared statement',
    ['prepare left_behind as select 1', '/* so */ PREPARE other as select 1'],
  ],
  ['a cursor', ['declare left_behind cursor with hold for select 1']],
  ['a read-only session', ['set default_transaction_read_only = on']],
];

const LOOK = `select current_user = session_user as is_self, current_setting('search_path') as path,
  current_setting('statement_timeout') as timeout, current_setting('role') as role,
  coalesce(current_setting('app.tenant', true), '') as tenant,
  current_setting('default_transaction_read_only') as read_only, session_user::text as session_user,
  (select count(*)::int from pg_locks where locktype = 'advisory' and objid = 4242) as locks,
  array(select pg_listening_channels()) as channels,
  array(select name from pg_prepared_statements where from_sql) as statements,
  array(select name from pg_cursors where is_holdable) as cursors,
  to_regclass('pg_temp.left_behind')::text as temporary`;

type Ways = { transaction: boolean; instances: 'one' | 'shared' };

function defineLeaving(ways: Ways, seen: unknown[]): ConsumerDefinition & { id: string } {
  return {
    id: 'c',
    channels: ['c'],
    from: 'now',
    retry: { attempts: 1 },
    ...ways,
    async handle({ payload }: Notification, { db }: ConsumerContext) {
      const { send, fails } = payload as { send: string[]; fails?: boolean };
      for (const text of send) await db.query(text);
      if (fails) throw new Error('of its own accord');
      if (send.length === 0) seen.push((await db.query(LOOK)).rows[0]);
    },
  };
}

/** Looks in the next call of the same stretch, and in a call of another stretch. */
async function leaveAndLook(send: string[], fails: boolean, seen: unknown[]): Promise<unknown[]> {
  const from = seen.length;
  const publish = (payload: unknown) =>
    `smart_notify('c', '${JSON.stringify(payload).replaceAll("'", "''")}')`;
  await database.query(`select ${publish({ send, fails })}, ${publish({ send: [] })}`);
  await until('it has looked', () => seen.length === from + 1);
  await database.query(`select ${publish({ send: [] })}`);
  await until('it has looked again', () => seen.length === from + 2);
  return seen.slice(from);
}

const ways: Ways[] = [
  { transaction: false, instances: 'one' },
  { transaction: true, instances: 'one' },
  { transaction: true, instances: 'shared' },
];

describe.each([
  ['directly', false],
  ['behind a pooler', true],
])('%s', (_, isPooled) => {
  describe.skipIf(isPooled && !program).each(ways)('with %o', (how) => {
    const seen: unknown[] = [];
    let daemon: TestDaemon;
    let pooler: PgBouncer | undefined;
    let clean: unknown;

    beforeAll(async () => {
      if (isPooled) {
        const settings = { pool_mode: 'transaction', default_pool_size: 3 };
        pooler = await startPgBouncer(program, database.url, settings);
      }
      const config = { ...database.config, url: pooler?.url ?? database.url };
      daemon = await startTailing(config, [defineLeaving(how, seen)]);
      [clean] = await leaveAndLook(['select 1'], false, seen);
    });
    afterAll(async () => {
      await daemon.stop();
      await pooler?.stop();
      await database.query(`delete from pgwatch.consumer_progress; delete from pgwatch.delivery`);
    });

    // A pooler gives each statement its own transaction, so what a function sets is not visible
    // there.
    const isSeen = ([name]: [string, string[]]) =>
      how.transaction || !isPooled || name !== 'a setting in a function';
    test.each(some(leavings.filter(isSeen)))(
      '%s does not reach the next call',
      async (_name, send) => {
        expect(await leaveAndLook(send, false, seen)).toEqual([clean, clean]);
        expect(await leaveAndLook(send, true, seen)).toEqual([clean, clean]);
      },
    );
  });
});
