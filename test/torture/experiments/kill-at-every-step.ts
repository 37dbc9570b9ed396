import type { Experiment } from '../experiment.ts';
import { underLoad } from '../load.ts';
import { BEFORE_THE_WORK, OVER_ANOTHER_CONNECTION } from '../mutations.ts';

/**
 * Daemons kill themselves (-9) at one step after the other: before and after everything that they
 * send or record.
 */
export const killAtEveryStep: Experiment = {
  name: 'kill-at-every-step',
  async run(world) {
    let step = (world.seed * 37) % STEPS;
    let hasEnded = false;
    await underLoad(world, {
      writers: { racing: 2 },
      daemon() {
        step += STRIDE;
        return hasEnded ? {} : { killAt: 1 + (step % STEPS) };
      },
      async harm(signal) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        hasEnded = true;
      },
    });
    world.count('kill -9 of a daemon at one of its steps', world.daemons[0]?.deaths);
  },
  mutants: {
    ...BEFORE_THE_WORK,
    ...OVER_ANOTHER_CONNECTION,
  },
};

/**
 * A daemon that takes over, works through what it missed and follows the tail takes about so many.
 */
const STEPS = 600;

/**
 * From one death to the next: has no divisor in common with STEPS, so that each step has its turn,
 * and is large, so that a short round too dies in its beginning, in the work and at its end.
 */
const STRIDE = 97;
