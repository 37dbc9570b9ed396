import { makeDeck } from '../deck.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';
import { WITHOUT_CATCH_UP } from '../mutations.ts';

/** Tables that are emptied when the server has crashed. */
export const UNLOGGED_LOG = `
select pgwatch.log_partition_create();
do $$ declare part regclass; begin
  for part in select inhrelid from pg_inherits
    where inhparent = 'pgwatch.notification_log'::regclass
  loop
    execute format('alter table %s set unlogged', part);
  end loop;
end $$`;

/** The server is killed (-9) under load and recovers: what it has acknowledged is delivered. */
export const killServer: Experiment = {
  name: 'kill-server',
  async run(world) {
    const deal = makeDeck(world.random, ['postmaster', 'everything', 'backend'] as const);
    await underLoad(world, {
      harm: (signal) =>
        repeatedly(world, [300, 900], signal, async () => {
          const what = deal();
          await world.server.crash(what, world.random() * 300);
          world.count(`kill -9 of the server (${what})`);
        }),
    });
  },
  mutants: {
    'commits are acknowledged before they are safe': {
      sql: `do $$ begin
        execute format('alter database %I set synchronous_commit = off', current_database());
      end $$`,
      shows: ['lost'],
    },
    'the log is not crash-safe': { sql: UNLOGGED_LOG, shows: ['lost'] },
    ...WITHOUT_CATCH_UP,
  },
};
