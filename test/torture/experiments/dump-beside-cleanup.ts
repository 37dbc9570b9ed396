import { setTimeout as delay } from 'node:timers/promises';
import { isLocked } from '../../../src/database/passing.ts';
import { emptyPartition } from '../../../src/log/retention/steps.ts';
import { ASKING, EXACT, SHARED_EXACT } from '../consumers.ts';
import { type Dump, dump, tryDump } from '../dumps.ts';
import type { Experiment } from '../experiment.ts';
import { findBinaries } from '../high-xids.ts';
import { underLoad } from '../load.ts';
import { Operator } from '../operator.ts';
import { PAST_SQL } from '../past-sql.ts';
import { TortureServer } from '../server.ts';
import type { World } from '../world.ts';

/**
 * Dumps are taken while writers write, consumers work, and cleanup empties partitions. A daemon on
 * a restored dump gets everything that the consumers had not handled by then, and nothing twice.
 */
export const dumpBesideCleanup: Experiment = {
  name: 'dump-beside-cleanup',
  unavailable: () =>
    findBinaries('pg_dump')
      ? null
      : 'pg_dump is missing: it comes with the client package of PostgreSQL',
  startServer: () => TortureServer.start(undefined, binaries()),
  async run(world) {
    await world.query(PAST_SQL);
    const dumps: Dump[] = [];
    await underLoad(world, {
      consumers: [ASKING, EXACT, SHARED_EXACT],
      writers: { racing: 6 },
      async harm(signal) {
        const over = new AbortController();
        const cleaning = cleanUp(world, over.signal);
        // If a dump fails, that is the error to report, not that cleanup then loses its connection.
        cleaning.catch(() => {});
        try {
          for (let day = 2; day < DAYS && (dumps.length === 0 || !signal.aborted); day++) {
            dumps.push(await dumpBehindADoor(world, day));
          }
        } finally {
          over.abort();
        }
        await cleaning;
      },
    });
    for (const made of dumps) world.overdue.push(...(await tryDump(world, binaries(), made)));
  },
  mutants: {
    'cleanup ignores older snapshots': {
      sql: `create or replace function pgwatch.cleanup_snapshot(since jsonb) returns text
        language sql stable return null::text`,
      shows: ['lost'],
    },
  },
};

/**
 * Takes a dump that has its snapshot but cannot lock the log's partitions yet. Meanwhile consumers
 * handle what the dump has as unread, and cleanup would remove it. Writers write to the next day.
 */
async function dumpBehindADoor(world: World, day: number): Promise<Dump> {
  const consumerId = world.consumers[day % world.consumers.length]?.id ?? '';
  return world.withClient(async (client) => {
    const operator = new Operator(world, consumerId, client);
    return world.withClient(async (door) => {
      let dumping: Promise<Dump> | undefined;
      await operator.pause(async () => {
        // Every pg_dump reads this table before it looks for tables, and nothing else here does.
        await door.query('begin; lock table pg_catalog.pg_extension in access exclusive mode');
        dumping = dump(world, binaries(), day);
        dumping.catch(() => {});
        await waitForDump(world);
        await world.query('update torture.past set day = $1', [day]);
      });
      await untilEmptied(world, day);
      await door.query('commit');
      return (await dumping) as Dump;
    });
  });
}

/**
 * Waits until cleanup has emptied what the dump has yet to read, which it must not do, or for a
 * while.
 */
async function untilEmptied(world: World, day: number): Promise<void> {
  for (const endAt = performance.now() + DOOR_MS_MAX; performance.now() < endAt; ) {
    await delay(100);
    const [row] = await world.query<{ isFilled: boolean }>(
      `select exists (
         select from pgwatch.notification_log
           where created_at < '2019-12-31'::timestamptz + $1 * interval '1 day'
       ) as "isFilled"`,
      [day],
    );
    if (!row?.isFilled) return;
  }
}

async function waitForDump(world: World): Promise<void> {
  for (let isWaiting = false; !isWaiting; ) {
    await delay(20);
    const rows = await world.query(
      `select from pg_locks join pg_stat_activity using (pid)
       where relation = 'pg_catalog.pg_extension'::regclass and not granted
         and backend_xmin is not null`,
    );
    isWaiting = rows.length > 0;
  }
}

/**
 * Empties what is done, as cleanup does, but drops nothing: pg_dump fails if a table that it knows
 * is gone.
 */
async function cleanUp(world: World, signal: AbortSignal): Promise<void> {
  const partitions = await world.query<{ name: string }>(
    `select name from pgwatch.log_partitions() where ends < '2021-01-01'`,
  );
  await world.withClient(async (client) => {
    while (!signal.aborted) {
      for (const { name } of partitions) {
        const step = { partition: name, before: new Date(), counted: null };
        const outcome = await emptyPartition(client, 'pgwatch', step).catch((thrown: unknown) => {
          if (!isLocked(thrown)) throw thrown;
        });
        if (outcome === 'emptied') world.count('partition emptied by cleanup');
      }
      await delay(50);
    }
  });
}

const binaries = () => findBinaries('pg_dump') ?? '';
const DAYS = 30;
const DOOR_MS_MAX = 2500;
