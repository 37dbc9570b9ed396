import { emptyPartition } from '../../../src/log/retention/steps.ts';
import type { Experiment } from '../experiment.ts';
import { findBinaries, makeHighXids } from '../high-xids.ts';
import { repeatedly, underLoad } from '../load.ts';
import { TortureServer } from '../server.ts';
import type { World } from '../world.ts';

/**
 * The server's xids have more than 32 bits, and their lower 32 bits wrap around under load, as on a
 * server that has run for years. An old partition is repeatedly filled and cleaned up.
 */
export const highXids: Experiment = {
  name: 'high-xids',
  unavailable: () =>
    findBinaries('pg_resetwal')
      ? null
      : "pg_resetwal is missing: it comes with PostgreSQL's server package",
  async run(world) {
    await world.query(
      `create table pgwatch.${BYGONE} partition of pgwatch.notification_log
       for values from ('2020-01-05Z') to ('2020-01-06Z')`,
    );
    await underLoad(world, {
      writers: { racing: 24, keys: 200 },
      harm: (signal) => repeatedly(world, [10, 50], signal, () => cleanUp(world)),
    });
    const [row] = await world.query<{ wraps: number }>(
      `select count(distinct xid::text::numeric::bigint >> 32)::integer - 1 as wraps
       from pgwatch.notification_log`,
    );
    world.count('wraparound of the lower 32 bits of the xids', row?.wraps ?? 0);
  },
  async startServer() {
    const binaries = findBinaries('pg_resetwal') ?? '';
    return TortureServer.start(await makeHighXids(binaries, XIDS_BELOW), binaries);
  },
  mutants: {
    'xids are read as 32 bits': { reader: 'xids are read as 32 bits', shows: ['lost'] },
    'id > cursor': { reader: 'id > cursor', shows: ['lost'] },
  },
};

/** What the server and the template use, and part of a short round. */
const XIDS_BELOW = 300;
const BYGONE = 'notification_log_20200105';

/** Cleanup waits for the snapshot of a dump, but for nothing that came later. */
async function cleanUp(world: World): Promise<void> {
  await world.query(
    `insert into pgwatch.notification_log (xid, created_at, channel)
     values (pg_current_xact_id(), '2020-01-05 12:00Z', 'bygone')`,
  );
  await world.withClient((client) =>
    world.withClient(async (dump) => {
      await dump.query('begin isolation level repeatable read; select 1');
      const target = { partition: BYGONE, before: new Date('2020-02-01'), counted: null };
      const outcome = emptyPartition(client, 'pgwatch', target);
      const held = await outcome.catch((error) => (error.code === '55P03' ? 'held' : error));
      await dump.query('commit');
      // The dump's snapshot may be as young as what is known to be done.
      if (held !== 'held' && held !== 'emptied') throw held;
      world.count(held === 'held' ? 'cleanup that waited for a snapshot' : 'cleanup');
    }),
  );
}
