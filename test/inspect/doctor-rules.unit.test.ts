import { expect, test } from 'vitest';
import { type Capacity, capacityFindings } from '../../src/inspect/doctor/capacity.ts';
import { clockFindings, skewOf } from '../../src/inspect/doctor/clock.ts';
import { lineFindings } from '../../src/inspect/doctor/connection.ts';
import { type DaemonState, daemonFindings } from '../../src/inspect/doctor/daemons.ts';
import { KNOWN_FAULTS } from '../../src/inspect/doctor/known-faults.ts';
import { LIMITS } from '../../src/inspect/doctor/limits.ts';
import { notifyFindings } from '../../src/inspect/doctor/log-channels.ts';
import { sizeFindings } from '../../src/inspect/doctor/log-size.ts';
import { usageFindings, waitFindings } from '../../src/inspect/doctor/queue.ts';
import { settingFindings } from '../../src/inspect/doctor/settings.ts';
import { timeoutFindings } from '../../src/inspect/doctor/timeouts.ts';
import { vacuumFindings } from '../../src/inspect/doctor/vacuum.ts';
import { versionFindings } from '../../src/inspect/doctor/version.ts';
import { bytesText } from '../../src/words.ts';

/**
 * States into which no test can bring a server: old releases, a disk full of log, billions of
 * transactions.
 */

const day = (text: string) => new Date(`${text}T12:00:00Z`);
const short = (findings: { level: string; what: string }[]) =>
  findings.map(({ level, what }) => `${level}: ${what}`);

test.each([
  // The version number, and its number of known faults.
  [140_000, 3],
  [140_003, 3],
  [140_004, 2],
  [140_008, 1],
  [140_020, 1],
  [140_021, 0],
  [150_002, 4],
  [150_015, 3],
  [150_016, 1],
  [150_020, 0],
  [160_011, 1],
  [160_012, 0],
  [170_007, 1],
  [170_008, 0],
  [180_001, 1],
  [180_002, 0],
])('PostgreSQL %i has %i known faults', (number, count) => {
  expect(versionFindings(number, day('2026-06-01'))).toHaveLength(count);
});

test('a fault names the release that fixes it, and the remedy for its damage', () => {
  const [first] = versionFindings(140_003, day('2026-06-01'));
  expect(first).toMatchObject({
    level: 'problem',
    what: expect.stringMatching(/^PostgreSQL 14\.3 has a known bug, fixed in 14\.4: CREATE INDEX/),
    fix: expect.stringContaining('reindex the indexes that were built that way'),
  });
  for (const { fixedIn } of KNOWN_FAULTS) {
    for (const major of Object.keys(fixedIn)) expect(Number(major)).toBeGreaterThanOrEqual(14);
  }
});

test('the end of support counts from the day after', () => {
  expect(versionFindings(140_025, day('2026-11-12'))).toEqual([]);
  expect(short(versionFindings(140_025, day('2026-11-13')))).toEqual([
    'note: PostgreSQL 14 has been out of support since 2026-11-12.',
  ]);
  expect(versionFindings(180_006, day('2026-11-21'))).toEqual([]);
});

test('releases that pgwatch was not made for are reported', () => {
  expect(short(versionFindings(130_022, day('2026-11-21')))).toEqual([
    'problem: PostgreSQL 13 is not supported: pgwatch needs 14 or newer.',
  ]);
  expect(short(versionFindings(190_001, day('2027-01-01')))).toEqual([
    'note: PostgreSQL 19 is untested: this version of pgwatch is tested with 14 to 18.',
  ]);
});

test('a setting is fixed where it is set; another check covers roles and databases', () => {
  const fsync = (source: string) => settingFindings([{ name: 'fsync', value: 'off', source }]);
  expect(fsync('configuration file')[0]?.fix).toBe(
    'alter system set fsync = on; select pg_reload_conf();',
  );
  expect(fsync('command line')[0]?.fix).toContain('-c fsync=on');
  expect(fsync('client')[0]?.fix).toContain('PGOPTIONS');
  expect(fsync('database')).toEqual([]);
  expect(settingFindings([{ name: 'fsync', value: 'on', source: 'default' }])).toEqual([]);
});

test.each([
  ['full_page_writes', 'off', 'problem'],
  ['synchronous_commit', 'off', 'note'],
  ['default_transaction_read_only', 'on', 'problem'],
  ['session_replication_role', 'replica', 'problem'],
  ['autovacuum', 'off', 'problem'],
  ['track_counts', 'off', 'problem'],
  ['track_activities', 'off', 'note'],
])('%s = %s is found', (name, value, level) => {
  const found = settingFindings([{ name, value, source: 'configuration file' }]);
  expect(short(found)).toEqual([`${level}: ${name} is ${value} (set in the configuration file).`]);
});

test('timeouts that interrupt handlers are found', () => {
  const found = (name: string, ms: number) => short(timeoutFindings([{ name, ms }]));
  expect(found('statement_timeout', 0)).toEqual([]);
  expect(found('statement_timeout', 30_000)).toEqual([]);
  expect(found('statement_timeout', 2000)).toEqual([
    'note: Sessions of this role start with statement_timeout 2.0 s.',
  ]);
  expect(found('transaction_timeout', 60_000)).toHaveLength(1);
  // The control connection sets it to 0.
  expect(found('idle_session_timeout', 5000)).toEqual([]);
});

test('too many locks on partitions, and too few free connections, are found', () => {
  const roomy: Capacity = {
    connections: 97,
    used: 10,
    roleLimit: null,
    databaseLimit: null,
    locks: 6400,
    partitions: 30,
  };
  expect(capacityFindings(roomy, 10)).toEqual([]);
  expect(short(capacityFindings({ ...roomy, partitions: 400 }, 10))).toEqual([
    'note: The log has 400 partitions: one daemon may hold 6000 locks at once, ' +
      'and the server has room for 6400.',
  ]);
  expect(short(capacityFindings({ ...roomy, used: 95 }, 10))).toEqual([
    'note: 95 of 97 connections are in use.',
  ]);
});

test('clock skew is the part that the round trip does not explain', () => {
  expect(skewOf({ sentMs: 1000, receivedMs: 9000, serverMs: 5000 })).toBe(0);
  expect(skewOf({ sentMs: 1000, receivedMs: 2000, serverMs: 12_000 })).toBe(10_000);
  expect(skewOf({ sentMs: 11_000, receivedMs: 12_000, serverMs: 1000 })).toBe(-10_000);
  expect(clockFindings(4000, LIMITS.clockMs)).toEqual([]);
  expect(short(clockFindings(10_000, LIMITS.clockMs))).toEqual([
    "note: The clock of this machine is 10 s behind the server's.",
  ]);
  expect(clockFindings(-10_000, LIMITS.clockMs)[0]?.what).toContain('ahead of');
});

test('an unencrypted connection is found only over a network', () => {
  const line = { isEncrypted: false, server: '10.0.0.7', isRemote: true };
  expect(short(lineFindings(line))).toEqual(['note: The connection to 10.0.0.7 is not encrypted.']);
  expect(lineFindings({ ...line, isEncrypted: true })).toEqual([]);
  expect(lineFindings({ ...line, isRemote: false })).toEqual([]);
});

test('a filling queue is a note early, and a problem from where ringing stops', () => {
  expect(usageFindings(0.01, [])).toEqual([]);
  expect(usageFindings(0.1, [])[0]?.level).toBe('note');
  const holder = {
    pid: 7,
    database: 'app',
    program: 'psql',
    state: 'idle in transaction',
    query: 'listen\n  jobs',
    openMs: 60_000,
  };
  expect(usageFindings(0.5, [holder])).toMatchObject([
    {
      level: 'problem',
      what:
        'The NOTIFY queue is 50 % full. The oldest transactions, in all databases: ' +
        'pid 7 (psql, database "app") is idle in transaction, open for 1 min 0 s: listen jobs.',
      fix: 'End the session that listens: select pg_terminate_backend(7);',
    },
  ]);
  expect(waitFindings({ count: 2, waitedMs: 20, holder: 1 }, 1000)).toEqual([]);
  expect(waitFindings({ count: 9, waitedMs: 20, holder: null }, 1000)[0]?.level).toBe('note');
  expect(waitFindings({ count: 1, waitedMs: 2000, holder: 7 }, 1000)[0]?.level).toBe('problem');
});

test('a large or old log is a note', () => {
  const days = (bytes: number, startsDaysAgo: number) => [
    { name: 'notification_log_20260101', bytes, startsDaysAgo },
  ];
  const channel = { name: 'orders', count: 75, explicit: 0, total: 100, spanMs: 1000 };
  const found = (bytes: number, age: number, retentionMs: number | null = null) =>
    short(sizeFindings(days(bytes, age), [channel], { limits: LIMITS, config: { retentionMs } }));
  expect(found(2 ** 30, 7)).toEqual([]);
  expect(found(20 * 2 ** 30, 7)).toEqual([
    'note: The log holds 20 GB: notification_log_20260101 20 GB; ' +
      'channels of the newest 100 notifications: "orders" 75 %.',
  ]);
  expect(found(100, 45.5)[0]).toContain('reaches 45 days back');
  // With retention, only age beyond it counts.
  expect(found(100, 45.5, 60 * 86_400_000)).toEqual([]);
  expect(found(100, 8, 7 * 86_400_000)).toEqual([]);
  expect(found(100, 10, 7 * 86_400_000)).toEqual([
    'problem: The log reaches 10 days back, although retention is 7 days.',
  ]);
  expect(['0 bytes', '2.0 kB', '12 MB']).toEqual([0, 2048, 12 * 2 ** 20].map(bytesText));
});

test('a channel on which every notification is a NOTIFY is found by its rate', () => {
  const busy = { name: 'orders', count: 9000, explicit: 9000, total: 10_000, spanMs: 10_000 };
  const found = (channel: typeof busy, mode = '') =>
    short(notifyFindings([channel], mode, { limits: LIMITS }));
  expect(found(busy)).toEqual(['note: Channel "orders" gets 900 smart_notify calls a second.']);
  expect(found(busy, 'doorbell')).toEqual([]);
  expect(found({ ...busy, explicit: 100 })).toEqual([]);
  expect(found({ ...busy, total: 20, explicit: 20, spanMs: 1 })).toEqual([]);
});

test('rows that are not frozen, and dead rows, are found', () => {
  const table = { name: 'pgwatch.delivery', deadRows: 0, liveRows: 10, xidAge: 1000 };
  expect(vacuumFindings(table, LIMITS)).toEqual([]);
  expect(vacuumFindings({ ...table, xidAge: 1_500_000_000 }, LIMITS)[0]?.level).toBe('problem');
  expect(vacuumFindings({ ...table, deadRows: 60_000 }, LIMITS)[0]?.level).toBe('note');
  expect(vacuumFindings({ ...table, deadRows: 60_000, liveRows: 70_000 }, LIMITS)).toEqual([]);
});

test('a daemon is alive, polls, hangs or has died', () => {
  const daemon: DaemonState = {
    host: 'web-1',
    pid: 42,
    hasLock: true,
    isAlive: true,
    silentMs: -9000,
    isConnected: true,
    mode: 'doorbell',
    version: '1.0.0',
  };
  expect(daemonFindings(daemon)).toEqual([]);
  const found = (changes: Partial<DaemonState>) => short(daemonFindings({ ...daemon, ...changes }));
  expect(found({ hasLock: false })[0]).toContain('has no session lock');
  expect(found({ mode: 'poll' })).toEqual([
    'note: The daemon with pid 42 on web-1 polls: LISTEN does not work for it.',
  ]);
  expect(found({ isAlive: false, silentMs: 60_000 })).toEqual([
    'problem: The daemon with pid 42 on web-1 is still connected, ' +
      'but has missed its heartbeats for 1 min 0 s.',
  ]);
  expect(found({ isAlive: false, isConnected: false })).toEqual([
    'note: The daemon with pid 42 on web-1 ended without stopping cleanly.',
  ]);
});
