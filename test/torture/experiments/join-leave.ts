import { EXACT, RECORDING, SHARED, SHARED_EXACT } from '../consumers.ts';
import type { ConsumerSetup } from '../daemons/setup.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';
import { tamperSql } from '../mutations.ts';

/**
 * Daemons join and leave all the time, up to eight and down to two. They leave on SIGTERM or by
 * kill -9. Of each key only one notification at a time is handled.
 */
export const joinLeave: Experiment = {
  name: 'join-leave',
  async run(world) {
    let isGrowing = true;
    await underLoad(world, {
      consumers: [RECORDING, EXACT, SHARED, SHARED_EXACT].map(neverOverlapping),
      writers: { racing: 6 },
      daemon: () => ({ config: PATIENT }),
      harm: (signal) =>
        repeatedly(world, [50, 250], signal, async () => {
          const running = world.daemons.filter(({ isStopping }) => !isStopping);
          if (running.length >= DAEMONS_MAX) isGrowing = false;
          if (running.length <= DAEMONS_MIN) isGrowing = true;
          if (isGrowing === world.random() < 0.8) {
            world.addDaemon(() => ({ config: PATIENT }));
            world.count('daemon joins');
            return;
          }
          const leaving = running[Math.floor(world.random() * running.length)];
          if (running.length <= 1 || !leaving) return;
          const how = world.random() < 0.5 ? 'on SIGTERM' : 'by kill -9';
          world.count(`daemon leaves ${how}`);
          // Others join and leave while it ends.
          void (how === 'on SIGTERM' ? leaving.stop() : leaving.abandon());
        }),
    });
  },
  mutants: {
    'leases of a key have no order': {
      sql: tamperSql('insert', 'lease', 'new.slot := null; return new;'),
      shows: ['inversions', 'overlaps'],
    },
    'a daemon counts as dead between heartbeats': {
      // So a call is running when its daemon is taken for dead.
      handler: 'writes an effect after a while',
      shows: ['overlaps', 'duplicateEffects'],
      sql: `do $$ begin
          execute 'create or replace view pgwatch.live_daemon as ' || replace(
            pg_get_viewdef('pgwatch.live_daemon'), 'clock_timestamp()',
            $i$(clock_timestamp() + interval '8.7 s')$i$);
        end $$`,
    },
  },
};

/** On a busy machine, a late heartbeat must not count as a death. */
const PATIENT = { heartbeatInterval: '3s', heartbeatDeadline: '20s' };
const DAEMONS_MAX = 8;
const DAEMONS_MIN = 2;

function neverOverlapping(consumer: ConsumerSetup): ConsumerSetup {
  return { ...consumer, promised: { ...consumer.promised, neverOverlaps: true } };
}
