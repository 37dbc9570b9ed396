import { afterEach, expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { startDaemon, type TestDaemon } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: while two versions of a shared consumer run, as during a rolling deployment, nothing is lost that the version
which holds reads. Method: an old version reads the channel a, a new one a and b, or the other way round.
*/

const database = useDatabase();
const daemons: TestDaemon[] = [];
afterEach(async () => {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()));
  await emptyLog(database);
});

const seen: string[] = [];

async function start(name: string, channels: string[]): Promise<TestDaemon> {
  const handle = ({ channel, payload }: Notification) =>
    void seen.push(`${name} ${channel} ${payload}`);
  const daemon = startDaemon(database.config, [
    { id: 'm', channels, instances: 'shared', handle, from: 'start' },
  ]);
  daemons.push(daemon);
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
])('what %j does not read is not passed by it once %j has begun', async (former, newer) => {
  seen.length = 0;
  const old = await start('old', former);
  const next = await start('new', newer);
  for (const n of MANY) await publish(n);
  const all = () => [...new Set(got('b'))].length === MANY.length && got('a').length >= MANY.length;
  await until('all have come', () => all() || seen.join());
  expect(got('b').toSorted((a, b) => a - b)).toEqual(MANY);
  await until('the old one says so', () =>
    old.reports
      .join('')
      .includes(`is read by a newer process with other channels (${newer.join(', ')})`),
  );
  // Once no newer version is there, it goes on.
  await next.stop();
  seen.length = 0;
  await publish(100);
  await until('it comes', () => seen.includes('old a 100') || seen.join());
});

test('versions that differ in the order of their channels alone share it', async () => {
  const [one, two] = [await start('one', ['a', 'b']), await start('two', ['b', 'a'])];
  for (const n of MANY) await publish(n);
  await until('both share it', () =>
    [one, two].every(({ reports }) => reports.join('').includes('m is shared: 2 processes')),
  );
  expect(`${one.reports}${two.reports}`).not.toContain('newer process');
});

test('one that loses its connection does not take the place of a newer version', async () => {
  seen.length = 0;
  const old = await start('old', ['a']);
  await start('new', ['a', 'b']);
  await until('it stands by', () => old.reports.join('').includes('newer process'));
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'pgwatch control'`,
  );
  await old.transitions.for({ type: 'connected' }, 4);
  for (const n of MANY) await publish(n);
  await until('all have come', () => new Set(got('b')).size === MANY.length || seen.join());
});
