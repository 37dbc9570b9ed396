import { join } from 'node:path';
import { EXACT, RECORDING, SHARED } from '../consumers.ts';
import type { Experiment } from '../experiment.ts';
import type { Attempt } from '../history/history.ts';
import { RecordWriter } from '../history/record.ts';
import { repeatedly, underLoad } from '../load.ts';
import type { World } from '../world.ts';

/**
 * Prepared transactions stay open while everything continues, through crashes of the server and
 * deaths of the daemon, and are then committed or rolled back in any order.
 */
export const preparedTransactions: Experiment = {
  name: 'prepared-transactions',
  async run(world) {
    const record = new RecordWriter<Attempt>(join(world.folder, 'attempts.jsonl'));
    let count = 0;
    const harm = (signal: AbortSignal) =>
      repeatedly(world, [10, 60], signal, async () => {
        const dice = world.random();
        if (dice < 0.55) await prepare(world, record, `prepared.${++count}`);
        else if (dice < 0.9) await end(world, record);
        else if (dice < 0.95) {
          world.daemons[0]?.kill();
          world.count('kill -9 of a daemon');
        } else {
          await world.server.crash('everything', world.random() * 100);
          world.count('kill -9 of the server');
        }
      });
    await underLoad(world, { consumers: [RECORDING, EXACT, SHARED], harm });
    await world.server.ensureRunning();
    while (await end(world, record));
    record.close();
  },
  mutants: {
    'id > cursor': { reader: 'id > cursor', shows: ['lost'] },
    'id > cursor and xid < xmin': { reader: 'id > cursor and xid < xmin', shows: ['lost'] },
  },
};

/**
 * A prepared transaction may not have used NOTIFY. It has no key, whose row would be locked for
 * writers.
 */
async function prepare(world: World, record: RecordWriter<Attempt>, token: string) {
  record.append({ token, outcome: 'unknown' });
  await world.withClient(async (client) => {
    await client.query(`begin; set local pgwatch.notify = 'off'`);
    await client.query(`select smart_notify('torture', $1)`, [{ token, sequence: 0 }]);
    await client.query(`prepare transaction '${token}'`);
  });
  world.count('transaction prepared and left open');
}

/** Ends one that was left open. @returns false if there is none */
async function end(world: World, record: RecordWriter<Attempt>): Promise<boolean> {
  const open = await world.query<{ gid: string }>(
    'select gid from pg_prepared_xacts where database = current_database() order by gid',
  );
  const token = open[Math.floor(world.random() * open.length)]?.gid;
  if (!token) return false;
  const isCommitted = world.random() < 0.7;
  await world.withClient((client) =>
    client.query(`${isCommitted ? 'commit' : 'rollback'} prepared '${token}'`),
  );
  record.append({ token, outcome: isCommitted ? 'committed' : 'aborted' });
  return true;
}
