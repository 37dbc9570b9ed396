/** A seeded generator of numbers from 0 to 1 (mulberry32, Tommy Ettinger, public domain). */
export type Random = () => number;

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * PGWATCH_TEST_SEED if set, otherwise a new seed; printed so that a failing run can be repeated.
 */
export function chooseSeed(what: string): number {
  const seed = Number(process.env.PGWATCH_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`${what}: seed ${seed} (repeat with PGWATCH_TEST_SEED=${seed})`);
  return seed;
}
