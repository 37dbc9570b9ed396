import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { size } from '../helpers/whole.ts';
import { chooseSeed } from '../racing/random.ts';
import { EXPERIMENTS } from './experiments.ts';
import { FINDINGS } from './history/check.ts';
import { runRound } from './round.ts';
import { TortureServer } from './server.ts';
import { describeRound } from './summary.ts';

/*
Goal: pgwatch loses nothing, whatever is done to it, and a broken pgwatch is caught.
Method: one in nine of the experiments of `npm run torture` (in a whole run one in five), different
ones each time, for a moment, and one mutant of every other one.
*/

let server: TortureServer;
beforeAll(async () => {
  server = await TortureServer.start();
});
afterAll(async () => {
  await server.stop();
});

const seed = chooseSeed('torture');
const ROUNDS_MAX = 10;

const chosen = EXPERIMENTS.filter((_, index) => (index + seed) % size(5, 9) === 0);

describe.each(chosen)('$name', (experiment) => {
  const options = { timeout: 120_000, skip: Boolean(experiment.unavailable?.()) };
  const run = async (mutant: string | null, roundSeed = seed) => {
    // The fault of a mutant needs an opportunity, so it gets more time.
    const durationMs = mutant === null ? 1500 : 3000;
    const round = await runRound({ server, seed: roundSeed, durationMs, experiment, mutant });
    console.log(describeRound(round));
    return round;
  };

  test('keeps every promise', options, async () => {
    let notifications = 0;
    // If connections are swallowed, writers do little in a second.
    for (let round = 0; notifications <= 10 && round < ROUNDS_MAX; round++) {
      const { verdict, failures } = await run(null, seed + round);
      // First, because a fault of the test itself also loses notifications.
      expect(failures).toEqual([]);
      expect(verdict).toMatchObject(Object.fromEntries(FINDINGS.map((kind) => [kind, []])));
      notifications += verdict.notifications;
    }
    expect(notifications).toBeGreaterThan(10);
  });

  // Another mutant each time, and each time for every other experiment: all would take minutes.
  const mutants = Object.keys(experiment.mutants);
  const place = EXPERIMENTS.indexOf(experiment) + seed;
  const mutant = mutants[Math.floor(place / 2) % mutants.length] ?? '';
  if (place % 2 === 0) return;
  test(`catches that ${mutant}`, { ...options, timeout: 180_000 }, async () => {
    // The fault has an effect only by chance.
    let isCaught = false;
    for (let round = 0; round < ROUNDS_MAX && !isCaught; round++) {
      ({ isCaught } = await run(mutant, seed + round));
    }
    expect(isCaught).toBe(true);
  });
});
