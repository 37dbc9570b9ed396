import type { Experiment } from '../experiment.ts';
import { underLoad } from '../load.ts';
import { BEFORE_THE_WORK, OVER_ANOTHER_CONNECTION } from '../mutations.ts';

/**
 * Daemons kill themselves (-9) at one step after another: before and after everything that they
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

/** About the steps of a daemon that takes over, replays what it missed and follows the tail. */
const STEPS = 600;

/**
 * From one death to the next. It has no divisor in common with STEPS, so every step gets its turn,
 * and it is large, so even in a short round a daemon dies at the beginning, at work and at the end.
 */
const STRIDE = 97;
