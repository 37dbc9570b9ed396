import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';

/** Daemons are killed (-9) at any time, and start again. */
export const killDaemon: Experiment = {
  name: 'kill-daemon',
  async run(world) {
    await underLoad(world, {
      harm: (signal) =>
        repeatedly(world, [100, 700], signal, () => {
          world.daemons[0]?.kill();
          world.count('kill -9 of a daemon');
        }),
    });
  },
  mutants: {
    'the position moves before the work is done': {
      handler: 'returns before its work is done',
      shows: ['lost'],
    },
    'effects are written over another connection': {
      handler: 'writes its effect over another connection',
      shows: ['duplicateEffects'],
    },
  },
};
