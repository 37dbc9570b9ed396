import { setTimeout as delay } from 'node:timers/promises';
import { SmallDisk } from '../disk.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';
import { WITHOUT_CATCH_UP } from '../mutations.ts';
import { TortureServer } from '../server.ts';
import { UNLOGGED_LOG } from './kill-server.ts';

/**
 * The server's disk fills up under load, and has room again a little later. First tables cannot
 * grow; in the end the server cannot write WAL, and goes down until there is room.
 */
export const diskFull: Experiment = {
  name: 'disk-full',
  unavailable: () => SmallDisk.unavailable(),
  async run(world) {
    const { disk } = world.server;
    if (!disk) throw new Error('the server has no disk of its own');
    await underLoad(world, {
      harm: (signal) =>
        repeatedly(world, [200, 500], signal, async () => {
          disk.fill();
          world.count('disk filled');
          await delay(200 + world.random() * 400);
          if (await world.server.exhaustLog()) world.count('server down for lack of space');
          await delay(100);
          disk.free();
          await world.server.ensureRunning();
        }),
    });
  },
  startServer: () => TortureServer.startOn(SmallDisk.mount(DISK_MB)),
  mutants: {
    'the log is not crash-safe': { sql: UNLOGGED_LOG, shows: ['lost'] },
    'a writer takes a missing answer for success': {
      writers: { belief: 'committed' },
      shows: ['lost'],
    },
    ...WITHOUT_CATCH_UP,
  },
};

/** Little more than the server, its template and a round need. */
const DISK_MB = 300;
