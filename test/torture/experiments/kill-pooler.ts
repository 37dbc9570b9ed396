import { setTimeout as delay } from 'node:timers/promises';
import { findPgBouncer, startPgBouncer } from '../../helpers/pgbouncer.ts';
import { EXACT, RECORDING, SHARED } from '../consumers.ts';
import { drain } from '../drain.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';
import { OVER_ANOTHER_CONNECTION, WITHOUT_CATCH_UP } from '../mutations.ts';

/** Daemons work behind a PgBouncer in transaction mode, which is killed (-9) and restarted. */
export const killPooler: Experiment = {
  name: 'kill-pooler',
  unavailable: () =>
    findPgBouncer()
      ? null
      : 'PgBouncer is missing: install it, or name it in PGWATCH_TEST_PGBOUNCER',
  async run(world) {
    const program = findPgBouncer() ?? '';
    let pooler = await startPgBouncer(program, world.url, SETTINGS);
    const { port: listen_port } = new URL(pooler.url);
    try {
      await underLoad(world, {
        daemons: 2,
        consumers: [RECORDING, EXACT, SHARED],
        daemon: () => ({ url: pooler.url }),
        harm: (signal) =>
          repeatedly(world, [300, 900], signal, async () => {
            await pooler.stop();
            world.count('kill -9 of the pooler');
            await delay(world.random() * 200);
            pooler = await startPgBouncer(program, world.url, { ...SETTINGS, listen_port });
          }),
      });
      world.overdue.push(...(await drain(world)).map((missing) => `behind the pooler: ${missing}`));
    } finally {
      await Promise.all(world.daemons.map((daemon) => daemon.stop()));
      await pooler.stop();
    }
  },
  mutants: {
    ...WITHOUT_CATCH_UP,
    ...OVER_ANOTHER_CONNECTION,
  },
};

/** Fewer connections than the daemons want, so they share them. */
const SETTINGS = { pool_mode: 'transaction', default_pool_size: 8, max_client_conn: 200 };
