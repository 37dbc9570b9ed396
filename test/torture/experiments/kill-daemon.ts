import { BATCHED, EXACT, RECORDING } from '../consumers.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';
import { BEFORE_THE_WORK, OVER_ANOTHER_CONNECTION } from '../mutations.ts';

/** Daemons are killed (-9) at any time, and start again. */
export const killDaemon: Experiment = {
  name: 'kill-daemon',
  async run(world) {
    await underLoad(world, {
      consumers: [RECORDING, EXACT, BATCHED],
      harm: (signal) =>
        repeatedly(world, [100, 700], signal, () => {
          world.daemons[0]?.kill();
          world.count('kill -9 of a daemon');
        }),
    });
  },
  mutants: {
    ...BEFORE_THE_WORK,
    ...OVER_ANOTHER_CONNECTION,
    'what a loop gives back counts as done': {
      door: 'subscribe',
      source: [
        {
          file: 'service/delivery.ts',
          right: 'this.#settled.reject(reason)',
          wrong: 'this.#settled.resolve()',
        },
      ],
      shows: ['lost'],
    },
  },
};
