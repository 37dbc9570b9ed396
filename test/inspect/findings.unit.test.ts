import { expect, test } from 'vitest';
import type { ConsumerView } from '../../src/inspect/consumer-view.ts';
import { findingsOf, type StatusLimits } from '../../src/inspect/findings.ts';

const at = new Date('2026-11-21T12:00:00Z');
const NONE: StatusLimits = { maxLag: null, maxAgeMs: null, maxDead: null };

function found(view: Partial<ConsumerView>, limits: Partial<StatusLimits> = {}): string[] {
  const complete = {
    consumerId: 'c',
    state: 'tail',
    unread: 0,
    isExact: true,
    oldestAt: null,
    dead: 0,
    pausedAt: null,
    ...view,
  } as ConsumerView;
  const log = { bytes: 0, newestId: null, newestAt: null };
  const status = { at, daemons: [], log, consumers: [complete] };
  return findingsOf(status, { ...NONE, ...limits }).map(
    ({ kind, message }) => `${kind}: ${message}`,
  );
}

test('without limits only consumers that are stuck are findings', () => {
  const busy = { unread: 1e6, oldestAt: new Date(0), dead: 9 };
  expect(found(busy)).toEqual([]);
  expect(found({ ...busy, state: 'paused' })).toEqual([]);
  expect(found({ state: 'not running' })).toEqual([
    'not_running: no daemon runs it, although it is not paused',
  ]);
  expect(found({ state: 'stopped', dead: 2 })).toEqual([
    'stopped: stopped at 2 dead letters, until they are retried or discarded',
  ]);
  expect(found({ state: 'stopped', dead: 1 })).toEqual([
    'stopped: stopped at a dead letter, until that is retried or discarded',
  ]);
  expect(found({ state: 'retrying', retrying: 10_001 })).toEqual([
    'retrying: takes nothing new: 10,001 notifications waiting for a retry',
  ]);
});

test('reaching a limit is fine, exceeding it is not', () => {
  expect(found({ unread: 1000 }, { maxLag: 1000 })).toEqual([]);
  expect(found({ unread: 1001 }, { maxLag: 1000 })).toEqual(['lag: 1,001 unread, more than 1,000']);
  const oldestAt = new Date(at.getTime() - 30_000);
  expect(found({ unread: 1, oldestAt }, { maxAgeMs: 30_000 })).toEqual([]);
  expect(found({ unread: 1, oldestAt }, { maxAgeMs: 29_900 })).toEqual([
    'age: the oldest unread is 30 s old, more than 29.9 s',
  ]);
  expect(found({ dead: 1 }, { maxDead: 1 })).toEqual([]);
  expect(found({ dead: 1 }, { maxDead: 0 })).toEqual(['dead: 1 dead letter, more than 0']);
});

test('limits also apply to paused consumers, because pauses are forgotten', () => {
  const paused = { state: 'paused', pausedAt: new Date('2026-11-20T00:00:00Z') } as const;
  expect(found({ ...paused, unread: 4_321_000, isExact: false }, { maxLag: 10 })).toEqual([
    'lag: about 4,321,000 unread, more than 10 (paused since 2026-11-20T00:00:00.000Z)',
  ]);
});
