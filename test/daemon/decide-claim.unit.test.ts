import { expect, test } from 'vitest';
import { type ClaimFacts, decideClaim } from '../../src/daemon/owned/decide-claim.ts';

const state = { consumerId: 'c', epoch: 1, liveOwner: null, isPaused: false, pausedUntil: null };
const me = { daemonId: 'me', consumerIds: ['c'], sharedIds: [] };
const other = { daemonId: 'other', consumerIds: ['c'], sharedIds: [] };

const decide = (facts: Partial<ClaimFacts>, about: Partial<ClaimFacts['state']> = {}) =>
  decideClaim({
    running: 'no',
    daemonId: 'me',
    mode: 'tail',
    target: 'me',
    daemons: [me, other],
    ...facts,
    state: { ...state, ...about },
  });

test('a consumer without an owner is taken by the process it is assigned to', () => {
  expect(decide({ target: 'me' })).toBe('take');
  expect(decide({ target: 'other' })).toBe('stand by');
  expect(decide({ target: undefined })).toBe('stand by');
});

test('a consumer is never taken from a live process, whatever it is assigned to', () => {
  expect(decide({ target: 'me' }, { liveOwner: 'other' })).toBe('stand by');
  expect(decide({ target: 'me' }, { liveOwner: 'me' })).toBe('take');
});

test('a consumer that other processes share is left to them', () => {
  const sharer = { daemonId: 'sharer', consumerIds: [], sharedIds: ['c'] };
  expect(decide({ daemons: [me, sharer] })).toBe('stand by');
  expect(decide({ mode: 'once', daemons: [me, sharer] })).toBe('stand by');
});

test('a run with --once takes whatever has no owner, and passes nothing on', () => {
  expect(decide({ mode: 'once', target: 'other' })).toBe('take');
  expect(decide({ mode: 'once', target: 'other', running: 'now' })).toBe('keep');
});

test('a consumer that runs here is passed on once it is assigned to another process', () => {
  expect(decide({ running: 'now', target: 'me' })).toBe('keep');
  expect(decide({ running: 'now', target: 'other' })).toBe('hand over');
  expect(decide({ running: 'now', target: undefined })).toBe('keep');
});

test('a consumer running since an earlier session is released if another process wants it', () => {
  const left = { running: 'since before' as const };
  expect(decide(left, { liveOwner: 'me' })).toBe('let go');
  expect(decide({ ...left, daemons: [me] }, { liveOwner: 'me' })).toBe('wait');
  expect(decide(left, { liveOwner: 'other' })).toBe('wait');
  expect(decide(left, { liveOwner: null })).toBe('wait');
});

test('no process runs a paused consumer', () => {
  for (const running of ['no', 'now', 'since before'] as const) {
    expect(decide({ running }, { isPaused: true })).toBe('pause');
  }
});
