import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../racing/random.ts';
import { check, FINDINGS, isClean } from './history/check.ts';
import type { Handling, History } from './history/history.ts';
import { makeHistory } from './model.ts';

/*
Goal: the checker passes every history that keeps the promises, and finds each violation.
Method: a model of writers, and of handlers that fail, crash and repeat, makes histories; then one
thing is broken.
*/

test('a history that keeps the promises is clean', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const history = makeHistory(seededRandom(seed));
      const verdict = check(history);
      expect(verdict).toMatchObject(Object.fromEntries(FINDINGS.map((kind) => [kind, []])));
      expect(isClean(verdict)).toBe(true);
      expect(verdict.notifications).toBe(history.stored.length);
    }),
  );
});

describe('it finds', () => {
  test('a notification that no handler finished', () => {
    forEachStored((history, token) => {
      const handlings = history.handlings.filter(
        (line) => line.token !== token || line.consumer !== 'plain' || line.at !== 'done',
      );
      expect(check({ ...history, handlings, deadLetters: [] }).lost).toContain(`plain: ${token}`);
    });
  });

  test('a missing effect of a handler that returned', () => {
    forEachStored((history, token) => {
      const effects = history.effects.filter((effect) => effect.token !== token);
      expect(check({ ...history, effects, deadLetters: [] }).lost).toContain(`exact: ${token}`);
    });
  });

  test('a committed notification that is gone from the log', () => {
    forEachStored((history, token) => {
      const attempts = [...history.attempts, { token, outcome: 'committed' as const }];
      const stored = history.stored.filter((row) => row.token !== token);
      expect(check({ ...history, attempts, stored }).lost).toContain(`log: ${token}`);
    });
  });

  test('a notification that was handled although its transaction was aborted', () => {
    forEachStored((history) => {
      const aborted = { token: 'undone', outcome: 'aborted' as const };
      const handling = { at: 'begun' as const, consumer: 'free', token: 'undone', pid: 1 };
      const broken = {
        ...history,
        attempts: [...history.attempts, aborted],
        handlings: [...history.handlings, handling],
      };
      expect(check(broken).phantom).toEqual(['free: undone']);
    });
  });

  test('a notification that no writer has written', () => {
    forEachStored((history) => {
      const stored = [...history.stored, { token: 'forged', key: null, sequence: 0, poison: null }];
      expect(check({ ...history, stored }).phantom).toEqual(['log: forged']);
    });
  });

  test('a second effect, and a second row in the log', () => {
    forEachStored((history, token) => {
      const effects = [...history.effects, { consumer: 'exact', token }];
      const stored = [...history.stored, ...history.stored.filter((row) => row.token === token)];
      expect(check({ ...history, effects }).duplicateEffects).toEqual([`exact: ${token}`]);
      expect(check({ ...history, stored }).duplicateEffects).toEqual([`stored twice: ${token}`]);
    });
  });

  test('a notification that began before the previous one of its key was over', () => {
    forEachStored((history, token) => {
      const row = history.stored.find((stored) => stored.token === token);
      const before = history.stored.find(
        ({ key, sequence }) => key !== null && key === row?.key && sequence === row.sequence - 1,
      );
      fc.pre(before !== undefined);
      const early = { at: 'begun' as const, consumer: 'plain', token, pid: 1 };
      const place = history.handlings.findIndex(
        (line) => line.consumer === 'plain' && line.token === before?.token && line.at === 'done',
      );
      const handlings = history.handlings.toSpliced(place, 0, early);
      expect(check({ ...history, handlings, deadLetters: [] }).inversions).toContain(
        `plain: ${token}`,
      );
    });
  });
});

test('an outcome unknown to the writer is decided by the log', () => {
  const history: History = {
    consumers: [{ id: 'plain', order: 'key', effects: 'at least once' }],
    attempts: [
      { token: 'stored', outcome: 'unknown' },
      { token: 'gone', outcome: 'unknown' },
    ],
    handlings: [],
    stored: [{ token: 'stored', key: null, sequence: 0, poison: null }],
    effects: [],
    deadLetters: [],
    byHand: [],
    setbacks: [],
    takenBack: [],
  };
  expect(check(history)).toMatchObject({
    notifications: 1,
    unknownCommitted: 1,
    lost: ['plain: stored'],
    phantom: [],
  });
});

test('what a promoted standby lacks counts as lost by the server, and nothing else does', () => {
  const line = (at: Handling['at'], token: string) => ({ at, consumer: 'plain', token, pid: 1 });
  const tokens = ['kept', 'taken', 'again'];
  const history: History = {
    consumers: [{ id: 'plain', order: 'key', effects: 'at least once' }],
    attempts: tokens.map((token) => ({ token, outcome: 'committed' })),
    handlings: tokens.flatMap((token) => [line('begun', token), line('done', token)]),
    // Published again after the failover.
    stored: ['kept', 'again'].map((token) => ({ token, key: null, sequence: 0, poison: null })),
    effects: [],
    deadLetters: [],
    byHand: [],
    setbacks: [],
    takenBack: ['taken', 'again'],
  };
  expect(isClean(check(history))).toBe(true);
  expect(check({ ...history, takenBack: ['again'] })).toMatchObject({ lost: ['log: taken'] });
  const unhandled = history.handlings.filter(({ token }) => token !== 'again');
  expect(check({ ...history, handlings: unhandled }).lost).toEqual(['plain: again']);
  const effects = [{ consumer: 'plain', token: 'taken' }];
  expect(check({ ...history, effects }).phantom).toEqual(['plain: taken']);
});

test('the last call of a dead letter must be over before the next one of its key', () => {
  const line = (at: Handling['at'], token: string) => ({ at, consumer: 'plain', token, pid: 1 });
  const history: History = {
    consumers: [{ id: 'plain', order: 'key', effects: 'at least once' }],
    attempts: ['a', 'b'].map((token) => ({ token, outcome: 'committed' })),
    handlings: [line('begun', 'a'), line('failed', 'a'), line('begun', 'b'), line('done', 'b')],
    stored: ['a', 'b'].map((token, index) => ({
      token,
      key: 'k',
      sequence: index + 1,
      poison: 'throws' as const,
    })),
    effects: [],
    deadLetters: [{ consumer: 'plain', token: 'a', error: 'It throws.' }],
    byHand: [],
    setbacks: [],
    takenBack: [],
  };
  expect(isClean(check(history))).toBe(true);
  const late = [...history.handlings, line('begun', 'a'), line('failed', 'a')];
  expect(check({ ...history, handlings: late }).inversions).toEqual(['plain: b']);
  // It was over, and came again because its process had died: that is not an inversion.
  for (const at of ['done', 'refused'] as const) {
    const again = [line('begun', 'a'), line(at, 'a'), ...late.slice(2)];
    expect(check({ ...history, handlings: again }).inversions).toEqual([]);
  }
});

/** Runs the test with histories and one of their committed notifications. */
function forEachStored(test: (history: History, token: string) => void): void {
  fc.assert(
    fc.property(fc.integer(), fc.nat(), (seed, index) => {
      const history = makeHistory(seededRandom(seed));
      const row = history.stored[index % history.stored.length];
      fc.pre(row !== undefined);
      test(history, row?.token ?? '');
    }),
  );
}
