import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { SQLSTATE } from '../../../src/database/sqlstate.ts';
import { errorCodeOf } from '../../../src/errors.ts';
import { ASKING, EXACT, SHARED } from '../consumers.ts';
import { makeDeck } from '../deck.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';
import { WITHOUT_CATCH_UP } from '../mutations.ts';
import { TortureServer } from '../server.ts';
import type { World } from '../world.ts';

/**
 * Another client takes every connection of the server (53300), while those of the daemons are
 * terminated. Or one of the server's processes is killed, so it refuses connections for a while
 * (57P03).
 */
export const connectionExhaustion: Experiment = {
  name: 'connection-exhaustion',
  startServer: () => TortureServer.start(undefined, undefined, { max_connections: '36' }),
  async run(world) {
    const deal = makeDeck(world.random, ['pgwatch%', 'pgwatch', 'recovery'] as const);
    await underLoad(world, {
      consumers: [ASKING, EXACT, SHARED],
      async harm(signal) {
        await repeatedly(world, [20, 150], signal, async () => {
          const what = deal();
          if (what === 'recovery') {
            await world.server.crash('backend', 0);
            await world.server.ensureRunning();
            world.count('server that refuses connections');
          } else {
            await exhaust(world, what);
          }
        });
        await world.server.ensureRunning();
      },
    });
  },
  mutants: { ...WITHOUT_CATCH_UP },
};

/**
 * Takes all free connections, terminates those with these names, takes them too, and releases all.
 */
async function exhaust(world: World, names: string): Promise<void> {
  const hoard = new Hoard(world.url);
  try {
    const first = await hoard.take();
    await first?.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name like $1`,
      [names],
    );
    await hoard.fill();
    await delay(100 + world.random() * 400);
    world.count('server without a free connection');
  } catch {
    // The server went down, or our own connection was terminated, too.
  } finally {
    await hoard.close();
  }
}

/** Connections taken away from others. */
class Hoard {
  readonly #clients: Client[] = [];
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Returns null if no connection is left. */
  async take(): Promise<Client | null> {
    const client = new Client({ connectionString: this.#url, application_name: 'hoard' });
    client.on('error', () => {});
    try {
      await client.connect();
      this.#clients.push(client);
      return client;
    } catch (thrown) {
      if (errorCodeOf(thrown) === SQLSTATE.tooManyConnections) return null;
      throw thrown;
    }
  }

  /** Takes several at once until the server has none left, twice: others release some meanwhile. */
  async fill(): Promise<void> {
    for (let refusals = 0; refusals < 2; ) {
      const taken = await Promise.all(Array.from({ length: 8 }, () => this.take()));
      if (taken.includes(null)) refusals += 1;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end().catch(() => {})));
  }
}
