import { expect, test } from 'vitest';
import { readDaemons } from '../../src/inspect/daemons.ts';
import { shareConsumer } from '../../src/log/leases/lease.ts';
import { readSharedPosition } from '../../src/log/leases/shared-position.ts';
import type { Notification } from '../../src/log/notification.ts';
import { takeOver } from '../../src/log/positions/progress.ts';
import { type TestDaemon, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { addConsumers } from '../helpers/deliveries.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { until } from '../helpers/wait.ts';

const partTest = filesOnly('it tests parts of the daemon');

/*
Goal: while two versions of a shared consumer run, as during a rolling deployment, nothing is lost
that the version in effect reads. Method: an old version reads channel a, a new one a and b, or vice
versa.
*/

const database = useDatabase();
const { start } = useDaemons(database);

const seen: string[] = [];

async function run(name: string, channels: string[]): Promise<TestDaemon> {
  const handle = ({ channel, payload }: Notification) =>
    void seen.push(`${name} ${channel} ${payload}`);
  const daemon = start({ id: 'm', channels, instances: 'shared', handle, from: 'start' });
  await daemon.transitions.for({ type: 'consumer_shared', consumerId: 'm' });
  return daemon;
}

const publish = (n: number) =>
  database.query(
    `select smart_notify('a', to_jsonb($1::int)), smart_notify('b', to_jsonb($1::int))`,
    [n],
  );

const got = (channel: string) =>
  seen.flatMap((text) => (text.split(' ')[1] === channel ? Number(text.split(' ')[2]) : []));

const MANY = Array.from({ length: 60 }, (_, n) => n + 1);

test.each([
  [['a'], ['a', 'b']],
  [
    ['b', 'a'],
    ['a', 'b', 'c'],
  ],
])(
  'notifications that %j does not read are not passed by it once %j has begun',
  async (former, newer) => {
    seen.length = 0;
    const old = await run('old', former);
    const next = await run('new', newer);
    for (const n of MANY) await publish(n);
    const all = () =>
      [...new Set(got('b'))].length === MANY.length && got('a').length >= MANY.length;
    await until('all have come', () => all() || seen.join());
    expect(got('b').toSorted((a, b) => a - b)).toEqual(MANY);
    await until('the old one says so', () =>
      old.reports
        .join('')
        .includes(`is run by a newer process that reads other channels (${newer.join(', ')})`),
    );
    // Once no newer version is running, it continues.
    await next.stop();
    seen.length = 0;
    await publish(100);
    await until('it comes', () => seen.includes('old a 100') || seen.join());
  },
);

test('versions that differ only in the order of their channels share the consumer', async () => {
  const [one, two] = [await run('one', ['a', 'b']), await run('two', ['b', 'a'])];
  for (const n of MANY) await publish(n);
  await until('both share it', () =>
    [one, two].every(({ reports }) => reports.join('').includes('m is shared: 2 processes')),
  );
  expect(`${one.reports}${two.reports}`).not.toContain('newer process');
});

test('an old version that loses its connection does not replace a newer one', async () => {
  seen.length = 0;
  const old = await run('old', ['a']);
  await run('new', ['a', 'b']);
  await until('it stands by', () => old.reports.join('').includes('newer process'));
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'pgwatch control'`,
  );
  await old.transitions.for({ type: 'connected' }, 4);
  for (const n of MANY) await publish(n);
  await until('all have come', () => new Set(got('b')).size === MANY.length || seen.join());
});

const [OLD, NEW] = ['a', 'b'].map((digit) => `00000000-0000-4000-8000-00000000000${digit}`);

/**
 * Daemons that started one after the other and have lost their connections: only their heartbeats
 * count.
 */
async function notice(newChannels: string[], newAliveUntil: string): Promise<void> {
  await addConsumers(database, ['m']);
  await database.query(
    `insert into pgwatch.daemon
       (daemon_id, host, pid, started_at, has_lock, consumer_ids, shared_ids, alive_until, channels)
       values
         ($1, 'h', 1, now() - interval '2 hours', true, '{}', '{m}',
          now() + interval '30 s', '{"m": ["a"]}'),
         ($2, 'h', 2, now() - interval '1 hour', true, '{}', '{m}',
          now() + $4::interval, jsonb_build_object('m', $3::text[]))`,
    [OLD, NEW, newChannels, newAliveUntil],
  );
}

/** Whether the older one may share it, take from it, and own it. */
async function mayRead(): Promise<boolean[]> {
  const client = await database.connect();
  const wish = { consumerId: 'm', channels: ['a'], isOrdered: true, daemonId: OLD as string };
  const found = await shareConsumer(client, 'pgwatch', wish);
  await client.query(`update pgwatch.consumer_progress set is_shared = true, channels = '{a}'`);
  const taken = await readSharedPosition(client, 'pgwatch', wish);
  await client.query('update pgwatch.consumer_progress set is_shared = false');
  const { rows } = await client.query('select epoch::int from pgwatch.consumer_progress');
  const claim = { consumerId: 'm', channels: ['a'], owner: wish.daemonId };
  const owned = await takeOver(client, 'pgwatch', { ...claim, seenEpoch: rows[0].epoch });
  await client.end();
  return [found.is === 'shared', taken !== null, owned !== null];
}

partTest.each([
  ['reads more channels and has lost its connection', ['a', 'b'], '20 s', false],
  ['reads only other channels', ['b'], '20 s', false],
  ['reads the same channels', ['a'], '20 s', true],
  ['has not sent a heartbeat within its deadline', ['a', 'b'], '-1 s', true],
])(
  'an older version may read or not beside a newer one that %s',
  async (_, channels, aliveUntil, expected) => {
    await notice(channels, aliveUntil);
    expect(await mayRead()).toEqual([expected, expected, expected]);
  },
);

partTest('status omits a process that stands by for a newer version', async () => {
  await notice(['a', 'b'], '20 s');
  // Both are alive: neither holds a lock.
  await database.query('update pgwatch.daemon set has_lock = false');
  const daemons = await readDaemons(database.pool, 'pgwatch');
  expect(daemons.map(({ daemonId, sharedIds }) => [daemonId, sharedIds])).toEqual([
    [OLD, []],
    [NEW, ['m']],
  ]);
});
