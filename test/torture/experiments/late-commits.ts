import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';

/** Many writers commit late, roll back, and take their ids and xids in different orders. */
export const lateCommits: Experiment = {
  name: 'late-commits',
  async run(world) {
    await underLoad(world, {
      writers: { racing: 24, keys: 200 },
      harm: (signal) => repeatedly(world, [1, 1], signal, () => {}),
    });
  },
  mutants: {
    'id > cursor': { reader: 'id > cursor', shows: ['lost'] },
    'id > cursor and xid < xmin': { reader: 'id > cursor and xid < xmin', shows: ['lost'] },
    'rows and snapshot in two statements': {
      reader: 'rows and snapshot in two statements',
      shows: ['lost'],
    },
  },
};
