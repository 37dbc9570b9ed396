import type { Random } from '../racing/random.ts';
import type {
  DeadLetter,
  Effect,
  Handling,
  History,
  Outcome,
  Promised,
} from './history/history.ts';

/** One of each kind. */
const CONSUMERS: Promised[] = [
  { id: 'plain', order: 'key', effects: 'at least once', neverOverlaps: true },
  { id: 'exact', order: 'key', effects: 'exactly once' },
  { id: 'free', order: 'none', effects: 'at least once' },
];

/** A history that keeps all promises, although handlers fail, become dead letters, and die. */
export function makeHistory(random: Random): History {
  const attempts: History['attempts'][number][] = [];
  const stored: History['stored'][number][] = [];
  const sequences = new Map<string, number>();
  for (let n = 1 + Math.floor(random() * 30); n > 0; n--) {
    const outcome = pick<Outcome>(random, [
      'committed',
      'committed',
      'committed',
      'aborted',
      'unknown',
    ]);
    attempts.push({ token: `t${n}`, outcome });
    if (outcome === 'aborted' || (outcome === 'unknown' && random() < 0.5)) continue;
    const key = pick(random, ['a', 'b', 'c', null]);
    const sequence = (sequences.get(key ?? '') ?? 0) + 1;
    sequences.set(key ?? '', sequence);
    stored.push({ token: `t${n}`, key, sequence: key === null ? 0 : sequence, poison: 'throws' });
  }
  const runs = CONSUMERS.map(({ id }) => handleAll(random, id, stored));
  return {
    consumers: CONSUMERS,
    attempts,
    handlings: runs.flatMap(({ handlings }) => handlings),
    stored,
    effects: runs.flatMap(({ effects }) => effects),
    deadLetters: runs.flatMap(({ deadLetters }) => deadLetters),
    byHand: [],
    setbacks: [],
    takenBack: [],
  };
}

/** Handles all, with handlers that fail, and processes that die and repeat the last ones. */
function handleAll(random: Random, consumer: string, stored: History['stored']) {
  const handlings: Handling[] = [];
  const effects: Effect[] = [];
  const deadLetters: DeadLetter[] = [];
  const note = (at: Handling['at'], token: string) =>
    handlings.push({ at, consumer, token, pid: 1 });
  for (const [index, { token }] of stored.entries()) {
    for (let failures = Math.floor(random() * 3); failures > 0; failures--) {
      note('begun', token);
      if (random() < 0.5) note('failed', token);
    }
    note('begun', token);
    if (random() < 0.1) {
      deadLetters.push({ consumer, token, error: 'It throws.' });
      continue;
    }
    note('done', token);
    if (consumer === 'exact') effects.push({ consumer, token });
    if (random() > 0.1) continue;
    for (const again of stored.slice(Math.max(0, index - 2), index + 1)) {
      if (deadLetters.some((dead) => dead.token === again.token)) continue;
      note('begun', again.token);
      note('done', again.token);
    }
  }
  return { handlings, effects, deadLetters };
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}
