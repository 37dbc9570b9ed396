import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../helpers/wait.ts';
import { EXACT, RECORDING, SHARED } from '../consumers.ts';
import type { ConsumerSetup } from '../daemons/setup.ts';
import { PASSES_OVER_OLD } from '../daemons/wrong-readers.ts';
import { makeDeck } from '../deck.ts';
import type { Experiment } from '../experiment.ts';
import { FakedClock } from '../faked-clock.ts';
import { underLoad, untilAtWork } from '../load.ts';
import { tamperSql } from '../mutations.ts';
import type { World } from '../world.ts';

/** The server's clock is set ahead and back, by seconds to hours, while retries are due. */
export const clockJumps: Experiment = {
  name: 'clock-jumps',
  unavailable: FakedClock.unavailable,
  startServer: FakedClock.startServer,
  async run(world) {
    const clock = FakedClock.of(world.server);
    const deal = makeDeck(world.random, JUMPS_S);
    await underLoad(world, {
      daemons: 2,
      consumers: [RECORDING, EXACT, SHARED].map(retrying),
      writers: { poison: { 'throws once': 0.2 } },
      async harm(signal) {
        await untilAtWork(world);
        for (let count = 0; count < 3 || !signal.aborted; count++) {
          jump(world, clock, deal());
          await delay(100 + world.random() * 300);
        }
        // A retry that waits by the clock of before would wait for hours.
        await until('a retry is pending', async () => {
          const due = await world.query(
            'select from pgwatch.delivery where next_attempt_at > clock_timestamp()',
          );
          return due.length > 0 || 'none is';
        });
        jump(world, clock, -3 * 3600);
        await clock.check(world);
      },
    });
  },
  mutants: {
    'a retry filed by a clock ahead waits until that time': {
      sql: tamperSql(
        'update',
        'delivery',
        `if new.next_attempt_at < old.next_attempt_at - interval '1 hour' then
          new.next_attempt_at := old.next_attempt_at;
        end if;
        return new;`,
      ),
      shows: ['lost'],
    },
    'rows older than those read before are skipped': {
      reader: PASSES_OVER_OLD,
      shows: ['lost'],
    },
  },
};

function jump(world: World, clock: FakedClock, seconds: number): void {
  clock.jump(seconds);
  world.count("jump of the server's clock");
}

function retrying(consumer: ConsumerSetup): ConsumerSetup {
  return { ...consumer, options: { ...consumer.options, retry: { attempts: 100, backoff: 500 } } };
}

const JUMPS_S = [-2, 2, -60, 60, -600, 600, -7200, 7200, 3 * 7200, -2 * 7200];
