import { ASKING, BATCHED_EXACT, EXACT } from '../consumers.ts';
import type { Experiment } from '../experiment.ts';
import { underLoad } from '../load.ts';
import { OVER_ANOTHER_CONNECTION } from '../mutations.ts';

/** Connections are cut between a commit and its answer, for the writers and for the daemon. */
export const cutCommits: Experiment = {
  name: 'cut-commits',
  async run(world) {
    const daemons = await world.openNetwork();
    const writers = await world.openNetwork();
    await underLoad(world, {
      consumers: [ASKING, EXACT, BATCHED_EXACT],
      daemon: () => ({ url: daemons.url }),
      writers: { url: writers.url, retrying: 4 },
      async harm(signal) {
        for (const network of [daemons, writers]) network.cutCommitsOf(0.1);
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        for (const network of [daemons, writers]) network.cutCommitsOf(0);
      },
    });
    world.count("writer's commit cut from its answer", writers.cutCommits);
    world.count("daemon's commit cut from its answer", daemons.cutCommits);
  },
  mutants: {
    ...OVER_ANOTHER_CONNECTION,
    'a writer retries without its event id': {
      writers: { retryWith: 'no event id' },
      shows: ['duplicateEffects'],
    },
    'a writer takes a missing answer for failure': {
      writers: { belief: 'aborted' },
      shows: ['phantom'],
    },
  },
};
