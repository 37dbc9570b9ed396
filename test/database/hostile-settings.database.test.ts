import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg, { escapeIdentifier } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { Pool } from '../../src/database/pool.ts';
import { OWN_SETTINGS, pinSettings } from '../../src/database/settings.ts';
import { readRegistered } from '../../src/log/positions/registered.ts';
import { captureTable } from '../helpers/captured.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { startTailing } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: commands and a daemon behave the same, whatever settings the database's sessions start with
and whatever the application has told node-postgres. Two databases, one of them hostile, are
compared.
*/

const usual = useDatabase();
const hostile = useDatabase();

/** All of them at once. */
const HOSTILE: Record<string, string> = {
  array_nulls: 'off',
  bytea_output: 'escape',
  check_function_bodies: 'off',
  datestyle: "'German, DMY'",
  default_transaction_deferrable: 'on',
  default_transaction_isolation: "'serializable'",
  extra_float_digits: '-15',
  idle_in_transaction_session_timeout: "'1s'",
  idle_session_timeout: "'1s'",
  intervalstyle: 'sql_standard',
  join_collapse_limit: '1',
  lock_timeout: "'1s'",
  plan_cache_mode: 'force_generic_plan',
  quote_all_identifiers: 'on',
  row_security: 'off',
  search_path: 'evil, public',
  statement_timeout: "'2s'",
  timezone: "'Asia/Kolkata'",
  transform_null_equals: 'on',
  work_mem: "'64kB'",
  xmlbinary: 'hex',
  xmloption: 'document',
};

/** What an application or a consumer file may do; it is never undone for our sake. */
function confuseNodePostgres(): void {
  for (const oid of TYPES) pg.types.setTypeParser(oid, (text: string) => `odd ${text}`);
  Object.assign(pg.defaults, {
    query_timeout: 20_000,
    statement_timeout: 20_000,
    lock_timeout: 20_000,
  });
}

const TYPES = [16, 20, 21, 23, 25, 114, 700, 701, 1009, 1016, 1114, 1184, 3802];
const parsers = TYPES.map((oid) => pg.types.getTypeParser(oid));
const defaults = { ...pg.defaults };

// Other test files run in the same process.
afterAll(() => {
  for (const [index, oid] of TYPES.entries()) {
    pg.types.setTypeParser(oid, parsers[index] as (text: string) => unknown);
  }
  Object.assign(pg.defaults, defaults);
});

beforeAll(async () => {
  const name = escapeIdentifier(new URL(hostile.url).pathname.slice(1));
  await hostile.query(`create schema evil;
    create table evil.orders (id int primary key)`);
  for (const [setting, value] of Object.entries(HOSTILE)) {
    await hostile.query(`alter database ${name} set ${setting} = ${value}`);
  }
  for (const database of [usual, hostile]) {
    await database.query(
      `select setval('pgwatch.notification_log_id_seq', ${FIRST - 1}),
         setval('pgwatch.lease_lease_id_seq', ${FIRST})`,
    );
    await captureTable(
      database,
      'public.orders',
      'id int primary key, price float8, at timestamptz',
    );
    await walk(database);
  }
}, 120_000);

/** Ids with more digits than a setting for floating point numbers would keep. */
const FIRST = 1_234_567_891;

const seen = new Map<unknown, string[]>();
/** The event ids that consumers received, and how the handlers' own types were parsed. */
const eventIds = new Map<unknown, Map<number, Set<string>>>();
const ownTypes = new Map<unknown, unknown>();

/** Publishes, runs every kind of consumer and the commands, and records all output. */
async function walk(database: typeof usual): Promise<void> {
  const said: string[] = [];
  seen.set(database, said);
  const writer = await database.connect();
  await writer.query(
    `set search_path = public, pg_catalog; set default_transaction_isolation = 'read committed'`,
  );
  await writer.query(`select public.smart_notify('c', '{"n": 1}', 'k')`);
  await writer.query(`insert into public.orders values (1, 0.1, '2026-01-02 03:04:05Z')`);
  await writer.query(`select public.smart_notify('fails', '1')`);
  await writer.end();
  if (database === hostile) confuseNodePostgres();
  const ids = new Map<number, Set<string>>();
  eventIds.set(database, ids);
  const handle = (name: string) => (n: { id: number; channel: string; eventId: string }) => {
    said.push(`${name} ${n.id} ${n.channel}`);
    ids.set(n.id, (ids.get(n.id) ?? new Set()).add(n.eventId));
    if (n.channel === 'fails') throw new Error('no');
  };
  const channels = ['c', 'data_change', 'fails'];
  const retry = { attempts: 1 };
  const daemon = await startTailing(database.config, [
    { id: 'owned', channels, from: 'start', retry, handle: handle('owned') },
    {
      id: 'within',
      channels,
      from: 'start',
      retry,
      transaction: true,
      async handle(notification, { db }) {
        const { rows } = await db.query('select 7::int8 as own');
        ownTypes.set(database, rows[0]?.own);
        handle('within')(notification);
      },
    },
    { id: 'split', channels, from: 'start', retry, instances: 'shared', handle: handle('split') },
  ]);
  await until(
    'all are handled',
    async () => said.length === 9 || `${said.join()}; ${daemon.reports.join()}`,
  );
  said.sort();
  const folder = mkdtempSync(join(tmpdir(), 'pgwatch-hostile-'));
  const file = join(folder, 'pgwatch.config.json');
  writeFileSync(file, JSON.stringify({ url: database.url, consumers: folder }));
  const ask = async (command: string[]) =>
    said.push(...(await run([...command, '--config', file])));
  // The daemon releases the consumer and continues with the others.
  await ask(['consumers', 'pause', 'owned', '--until', '1h']);
  await until('it is paused', () => daemon.reports.join('').includes('owned is paused'));
  await daemon.stop();
  for (const command of COMMANDS) await ask(command);
  rmSync(folder, { recursive: true });
}

const COMMANDS = [
  ['status', '--json'],
  ['consumers', 'show', 'owned', '--json'],
  ...['owned', 'split', 'within'].map((consumer) => [
    'dlq',
    'list',
    '--consumer',
    consumer,
    '--json',
  ]),
  ['why', `${FIRST}`],
  ['show', `${FIRST + 1}`, '--json'],
  ['history', 'public.orders', '1'],
  ['replay', 'owned', '--since', '1h', '--dry-run'],
  ['seek', 'owned', '--to', 'start'],
  ['trigger', 'list'],
  ['trigger', 'sql', 'public.orders'],
  ['migrate', 'status'],
  ['cleanup', '--before', '1d', '--dry-run'],
  ['notify', 'c', '{"n": 2}', '--key', 'NULL'],
  ['consumers', 'list'],
];

/** The output without what differs between databases. */
async function run(args: string[]): Promise<string[]> {
  const { exitCode, stdout, stderr } = await runMain(args);
  const text = `${stdout}${stderr}`
    .replaceAll(/^\d\d:\d\d:\d\d /gm, '')
    .replaceAll(/"(done_?[sS]napshot|done_?[xX]id|transaction_id)":"[\d:,]+"/g, '$1')
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?/g, 'TIME')
    .replaceAll(/[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}/g, 'UUID')
    .replaceAll(/test_\d+_\w+|127\.0\.0\.1:\d+/g, 'PLACE')
    .replaceAll(/"(pid|bytes|lagSeconds|savedAgo|xid|transactionId)": ?"?[\d.]+"?/g, '"$1": N')
    .replaceAll(/\d+(\.\d+)? ?(ms|s|m|kB|MB|minutes?|seconds?|hours?)\b/g, 'SIZE')
    .replaceAll(/transaction \d+|:\d{3,}/g, 'XID');
  return [`${args[0]} ${args[1]}: ${exitCode}`, text];
}

test('commands and consumers behave the same in a hostile database', () => {
  expect(seen.get(hostile)).toEqual(seen.get(usual));
  expect(seen.get(usual)?.filter((line) => line.endsWith(': 1'))).toEqual([]);
  expect(seen.get(usual)?.join()).not.toMatch(/TypeError|Invalid|NaN/);
});

test('event ids are the same everywhere, and complete', async () => {
  for (const database of [usual, hostile]) {
    const { rows } = await database.query(
      `select format('%s %s', id, event_id) as event
       from pgwatch.notification where id <= $1 order by id`,
      [FIRST + 2],
    );
    const given = [...(eventIds.get(database) ?? [])].sort(([a], [b]) => a - b);
    expect(given.map(([id, events]) => [id, ...events].join(' '))).toEqual(
      rows.map(({ event }) => event.replace('odd ', '')),
    );
  }
});

test("the type parsers of a handler's own queries are the application's", () => {
  expect([ownTypes.get(usual), ownTypes.get(hostile)]).toEqual(['7', 'odd 7']);
});

test.each(Object.keys(OWN_SETTINGS))('%s is pinned', async (name) => {
  const pool = new Pool({ url: hostile.url, size: 1 });
  try {
    const text = 'select current_setting($1, true) as value';
    const { rows } = await pool.query<{ value: string | null }>(text, [name]);
    // Null: this server is too old for the setting.
    if (rows[0]?.value !== null) expect(rows[0]?.value).toBe(OWN_SETTINGS[name]);
  } finally {
    await pool.close();
  }
});

test('a connection that is not pinned would be noticed', async () => {
  const [pinned, open] = (['ours', 'user'] as const).map((sessions) => {
    return new Pool({ url: hostile.url, size: 1, sessions });
  }) as [Pool, Pool];
  Object.assign(pg.defaults, {
    query_timeout: false,
    statement_timeout: false,
    lock_timeout: false,
  });
  try {
    const read = (pool: Pool) =>
      pool.withClient((client) => readRegistered(client, 'pgwatch', null));
    const [owned] = await read(pinned);
    expect(owned?.createdAt).toBeInstanceOf(Date);
    expect(await read(open).then(([other]) => other, String)).not.toEqual(owned);
  } finally {
    await Promise.all([pinned.close(), open.close()]);
  }
});

test('a database that forbids its sessions to read views is migrated', async () => {
  const empty = await createEmptyDatabase();
  const { rows } = await empty.query(
    `select current_setting('restrict_nonsystem_relation_kind', true) as value`,
  );
  if (rows[0].value === null) return;
  const name = new URL(empty.url).pathname.slice(1);
  await empty.query(`alter database ${name} set restrict_nonsystem_relation_kind = 'view'`);
  const config = await empty.configWith({});
  await withConnection(config, async (client) => {
    await pinSettings(client);
    await migrateUp(client, config);
  });
});
