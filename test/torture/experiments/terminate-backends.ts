import { ASKING, EXACT } from '../consumers.ts';
import { makeDeck } from '../deck.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';
import { WITHOUT_CATCH_UP } from '../mutations.ts';
import type { World } from '../world.ts';

/** The server ends connections: the daemons', the writers', or all of them. */
export const terminateBackends: Experiment = {
  name: 'terminate-backends',
  async run(world) {
    const deal = makeDeck(world.random, ['pgwatch control', 'pgwatch', 'writer', '%']);
    await underLoad(world, {
      consumers: [ASKING, EXACT],
      harm: (signal) => repeatedly(world, [100, 400], signal, () => terminate(world, deal())),
    });
  },
  mutants: {
    ...WITHOUT_CATCH_UP,
  },
};

async function terminate(world: World, whose: string): Promise<void> {
  const ended = await world.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like $1 and pid <> pg_backend_pid()`,
    [whose],
  );
  world.count('pg_terminate_backend', ended.length);
}
