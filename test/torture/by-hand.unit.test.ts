import { expect, test } from 'vitest';
import type { ByHand } from './history/by-hand.ts';
import { check } from './history/check.ts';
import type { Handling, History } from './history/history.ts';

/* Goal: the checker allows what was requested manually, and nothing else. */

const line = (at: Handling['at'], token: string) => ({ at, consumer: 'exact', token, pid: 1 });
const handled = (...tokens: string[]) => ({
  handlings: tokens.flatMap((token) => [line('begun', token), line('done', token)]),
  effects: tokens.map((token) => ({ consumer: 'exact', token })),
});

function checkExact(tokens: string[], byHand: [ByHand['what'], string][]) {
  const history: History = {
    consumers: [{ id: 'exact', order: 'key', effects: 'exactly once' }],
    attempts: ['a', 'b'].map((token) => ({ token, outcome: 'committed' })),
    ...handled(...tokens),
    stored: ['a', 'b'].map((token, index) => ({
      token,
      key: 'k',
      sequence: index + 1,
      poison: null,
    })),
    deadLetters: [],
    byHand: byHand.map(([what, token]) => ({ consumer: 'exact', token, what })),
    setbacks: [],
    takenBack: [],
  };
  const { lost, duplicateEffects, inversions } = check(history);
  return { lost, duplicateEffects, inversions };
}

const CLEAN = { lost: [], duplicateEffects: [], inversions: [] };

test('what a seek skipped may be missing or come late; nothing else may', () => {
  expect(checkExact(['b'], [['skipped', 'a']])).toEqual(CLEAN);
  expect(checkExact(['b', 'a'], [['skipped', 'a']])).toEqual(CLEAN);
  expect(checkExact(['a'], [['skipped', 'a']])).toEqual({ ...CLEAN, lost: ['exact: b'] });
  expect(checkExact(['b', 'a'], []).inversions).toEqual(['exact: b']);
});

test('what was requested again may come that many more times', () => {
  expect(checkExact(['a', 'b', 'a'], [['again', 'a']])).toEqual(CLEAN);
  expect(checkExact(['a', 'b'], [['again', 'a']])).toEqual(CLEAN);
  const duplicateEffects = ['exact: a'];
  expect(checkExact(['a', 'b', 'a', 'a'], [['again', 'a']])).toEqual({
    ...CLEAN,
    duplicateEffects,
  });
  expect(checkExact(['a', 'b', 'a'], [['again', 'b']])).toEqual({ ...CLEAN, duplicateEffects });
});

test('what is replayed must come again, unless the replay is cancelled', () => {
  expect(checkExact(['a', 'b', 'a'], [['replayed', 'a']])).toEqual(CLEAN);
  expect(checkExact(['a', 'b'], [['replayed', 'a']]).lost).toEqual(['exact: a (replayed)']);
  const takenBack: [ByHand['what'], string][] = [
    ['replayed', 'a'],
    ['taken back', 'a'],
  ];
  expect(checkExact(['a', 'b'], takenBack)).toEqual(CLEAN);
});
