import type { Experiment } from '../experiment.ts';
import { findResetwal, makeHighXids } from '../high-xids.ts';
import { repeatedly, underLoad } from '../load.ts';
import { TortureServer } from '../server.ts';

/**
 * The server's xids have more than 32 bits, and their lower 32 bits begin again at 0 under load, as
 * on a server that has run for years.
 */
export const highXids: Experiment = {
  name: 'high-xids',
  unavailable: () =>
    findResetwal() ? null : "pg_resetwal is missing: it comes with PostgreSQL's server package",
  async run(world) {
    await underLoad(world, {
      writers: { racing: 24, keys: 200 },
      harm: (signal) => repeatedly(world, [1, 1], signal, () => {}),
    });
    const [row] = await world.query<{ wraps: number }>(
      `select count(distinct xid::text::numeric::bigint >> 32)::integer - 1 as wraps
       from pgwatch.notification_log`,
    );
    world.count('lower 32 bits of the xids began again at 0', row?.wraps ?? 0);
  },
  async startServer() {
    const binaries = findResetwal() ?? '';
    return TortureServer.start(await makeHighXids(binaries, XIDS_BELOW), binaries);
  },
  mutants: {
    'xids are read as 32 bits': { reader: 'xids are read as 32 bits', shows: ['lost'] },
    'id > cursor': { reader: 'id > cursor', shows: ['lost'] },
  },
};

/** What the server and the template take, and part of a short round. */
const XIDS_BELOW = 300;
