import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EXACT, RECORDING, SHARED, SHARED_EXACT } from '../consumers.ts';
import { FIXED } from '../daemons/handlers.ts';
import type { ConsumerSetup } from '../daemons/setup.ts';
import type { Experiment } from '../experiment.ts';
import { underLoad } from '../load.ts';
import { tamperSql } from '../mutations.ts';

/**
 * Handlers block the event loop of their process for longer than it counts as alive: its heartbeat
 * and everything else stop, other daemons take over, and then it continues in the middle.
 */
export const blockedLoop: Experiment = {
  name: 'blocked-loop',
  async run(world) {
    await underLoad(world, {
      daemons: 3,
      consumers: [RECORDING, EXACT, SHARED, SHARED_EXACT].map(blocking),
      daemon: () => ({ config: { heartbeatInterval: HEARTBEAT_MS } }),
      async harm() {
        await delay(world.durationMs);
        const rows = await world.query<{ takeovers: number }>(
          'select sum(epoch)::int as takeovers from pgwatch.consumer_progress',
        );
        world.count('consumer taken over', rows[0]?.takeovers ?? 0);
        // With such handlers, the rest would take minutes.
        writeFileSync(join(world.folder, FIXED), '');
      },
    });
  },
  mutants: {
    'a takeover does not raise the epoch': {
      sql: tamperSql('update', 'consumer_progress', 'new.epoch := old.epoch; return new;'),
      shows: ['duplicateEffects', 'setbacks'],
    },
  },
};

function blocking(consumer: ConsumerSetup): ConsumerSetup {
  return { ...consumer, handler: 'writes an effect, and blocks its process now and then' };
}

/** Three of them are less than a handler blocks. */
const HEARTBEAT_MS = 300;
