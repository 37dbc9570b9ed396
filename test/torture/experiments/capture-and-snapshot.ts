import { setTimeout as delay } from 'node:timers/promises';
import { EXACT, SHARED_EXACT } from '../consumers.ts';
import type { ConsumerSetup } from '../daemons/setup.ts';
import { makeDeck } from '../deck.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';
import { captureTables, changeTables, findDifferences, MIRRORED, takeSnapshot } from '../mirror.ts';
import { tamperSql } from '../mutations.ts';
import type { World } from '../world.ts';

/**
 * Tables are captured and copied by snapshots while writers change them and connections, daemons
 * and the server are killed. In the end each consumer's mirror must equal the tables.
 */
export const captureAndSnapshot: Experiment = {
  name: 'capture-and-snapshot',
  async run(world) {
    await captureTables(world);
    const consumers = [EXACT, SHARED_EXACT].map(mirroring);
    await underLoad(world, {
      daemons: 2,
      consumers,
      writers: { racing: 1 },
      async harm(signal) {
        const over = new AbortController();
        const changing = [1, 2, 3].map((index) => changeTables(world, index, over.signal));
        const harming = harm(world, signal);
        await Promise.all(consumers.map(({ id }) => takeSnapshots(world, id, signal)));
        // Changes that no snapshot sees any more.
        await delay(500);
        over.abort();
        await Promise.all([...changing, harming]);
      },
    });
    await world.server.ensureRunning();
    await settle(world);
  },
  mutants: {
    'a snapshot does not lock its rows': {
      rewrite: (text) => text.replace('for share', ''),
      shows: ['lost'],
    },
    'one change in twenty is not captured': {
      sql: tamperSql(
        'insert',
        'notification_log',
        `return case when new.action = 'UPDATE' and random() < 0.05 then null else new end;`,
      ),
      shows: ['lost'],
    },
  },
};

/** Reads the changes, too. */
function mirroring(consumer: ConsumerSetup): ConsumerSetup {
  const options = { ...consumer.options, channels: ['torture', MIRRORED] };
  return { ...consumer, handler: 'mirrors', options };
}

/** Takes at least two, the second while the consumer still works on the first. */
async function takeSnapshots(world: World, consumerId: string, signal: AbortSignal): Promise<void> {
  for (let count = 0; count < 2 || !signal.aborted; count++) {
    await delay(world.random() * 200);
    await takeSnapshot(world, consumerId, count > 0);
  }
}

async function harm(world: World, signal: AbortSignal): Promise<void> {
  const deal = makeDeck(world.random, [
    'daemon',
    'daemon',
    'backends',
    'backends',
    'server',
  ] as const);
  await repeatedly(world, [200, 900], signal, async () => {
    const what = deal();
    if (what === 'daemon') {
      world.daemons[Math.floor(world.random() * world.daemons.length)]?.kill();
      return world.count('kill -9 of a daemon');
    }
    if (what === 'server') {
      await world.server.crash('everything', world.random() * 100);
      return world.count('kill -9 of the server');
    }
    const ended = await world.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and random() < 0.4`,
    );
    world.count('pg_terminate_backend', ended.length);
  });
}

/** Waits while the differences change; those that remain are overdue. */
async function settle(world: World): Promise<void> {
  const quietMax = world.isMutant ? 3000 : 40_000;
  let found = await findDifferences(world);
  for (let quietSince = performance.now(); found.length > 0; ) {
    await delay(200);
    const now = await findDifferences(world);
    if (now.join() !== found.join()) quietSince = performance.now();
    found = now;
    if (performance.now() - quietSince > quietMax) break;
  }
  world.overdue.push(...found);
}
