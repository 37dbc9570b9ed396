import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { attentionFirst } from '../../src/cli/status/attention.ts';
import { statusLines } from '../../src/cli/status/lines.ts';
import type { ConsumerView } from '../../src/inspect/consumer-view.ts';
import type { DaemonView } from '../../src/inspect/daemons.ts';

const original = { isTTY: process.stdout.isTTY, columns: process.stdout.columns };
const at = new Date('2026-11-21T12:00:00Z');
const ago = (ms: number) => new Date(at.getTime() - ms);

beforeEach(() => void vi.stubEnv('NO_COLOR', '1'));
afterEach(() => {
  vi.unstubAllEnvs();
  Object.assign(process.stdout, original);
});

const daemon: DaemonView = {
  daemonId: 'd',
  host: 'web-1',
  pid: 4711,
  startedAt: ago(1e7),
  consumerIds: [],
  sharedIds: [],
  activity: { version: '1', mode: 'poll', pollMs: 5000, consumers: {} },
};

function view(more: Partial<ConsumerView>): ConsumerView {
  const running = {
    consumerId: 'email',
    state: 'tail',
    isShared: false,
    isPaused: false,
    unread: 0,
    isExact: true,
    oldestAt: null,
    timeLeftMs: 0,
    rate: 12.34,
    retrying: 0,
    blocked: 0,
    blockedKeys: 0,
    dead: 0,
    lastError: null,
    daemons: [daemon],
    owner: { daemonId: 'd', host: 'web-1', pid: 4711, since: ago(3_600_000), isAlive: true },
  };
  return { ...running, ...more } as ConsumerView;
}

const far = view({
  consumerId: 'the_consumer_with_the_long_name',
  state: 'catching up',
  unread: 4_321_098,
  isExact: false,
  oldestAt: ago(90_000),
  timeLeftMs: 7_200_000,
  rate: 1234.5,
  retrying: 3,
  dead: 7,
  lastError: { name: 'TypeError', message: 'x'.repeat(200), notificationId: 42, at: ago(5000) },
});

function lines(columns: number | undefined, consumers: ConsumerView[]): string[] {
  Object.assign(process.stdout, { isTTY: columns !== undefined, columns });
  const log = { bytes: 1_234_567, newestId: 9, newestAt: ago(1500) };
  return statusLines({ at, daemons: [daemon], log, consumers });
}

test('with enough room, owners are in the last column, and nothing is cut', () => {
  const [daemons, log, , , email, other, , note] = lines(undefined, [view({}), far]);
  expect(daemons).toBe('Daemons  1 alive: web-1:4711 (polls every 5.0 s)');
  expect(log).toBe('Log      1.2 MB, the newest notification is 9, 1.5 s ago');
  expect(email?.split(/ {2,}/)).toEqual([
    'email',
    'tail',
    '0',
    '-',
    '-',
    '12.3/s',
    '0',
    '0',
    '0',
    'web-1:4711 for 1 h',
  ]);
  expect(other?.split(/ {2,}/).slice(1, 9)).toEqual([
    'catching up',
    '~4,300,000',
    '1 min',
    '2 h',
    '1,230/s',
    '3',
    '0',
    '7',
  ]);
  expect(note).toMatch(
    /^the_consumer_with_the_long_name: last error 5\.0 s ago, notification 42: TypeError: x{200}$/,
  );
});

test('on 80 columns every number is visible, and a long id is cut', () => {
  const found = lines(80, [view({}), far]);
  expect(found.filter((line) => line.length > 80)).toEqual([]);
  expect(found[5]).toMatch(/^the_\S*… {2}catching up .* 7$/);
  expect(found[3]).toMatch(/DEAD$/);
  expect(found.join('\n')).not.toContain('for 1 h');
});

test('a paused consumer never gets there, and shows since when it is paused', () => {
  const paused = view({
    state: 'paused',
    isPaused: true,
    pausedAt: ago(60_000),
    pausedUntil: null,
    unread: 5,
    timeLeftMs: null,
    daemons: [],
    owner: null,
  });
  const [row, , note] = lines(undefined, [paused]).slice(4);
  expect(row?.split(/ {2,}/)).toEqual([
    'email',
    'paused',
    '5',
    '-',
    'never',
    '-',
    '0',
    '0',
    '0',
    '-',
  ]);
  expect(note).toBe('email: paused 1 min ago');
});

test('an owner that has died is marked as gone', () => {
  const owner = { daemonId: 'x', host: 'web-9', pid: 1, since: ago(1000), isAlive: false };
  const [row] = lines(undefined, [view({ state: 'not running', owner, daemons: [] })]).slice(4);
  expect(row).toMatch(/ web-9:1, gone$/);
});

test('consumers that need attention come first when watching', () => {
  const states = ['tail', 'paused', 'catching up', 'stopped', 'not running'] as const;
  const all = states.map((state) => view({ consumerId: state, state }));
  const letters = view({ consumerId: 'dead', dead: 3 });
  expect(attentionFirst([...all, letters]).map(({ consumerId }) => consumerId)).toEqual([
    'stopped',
    'not running',
    'dead',
    'paused',
    'catching up',
    'tail',
  ]);
});
