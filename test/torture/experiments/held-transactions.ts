import { join } from 'node:path';
import { Client } from 'pg';
import { drain } from '../drain.ts';
import type { Experiment } from '../experiment.ts';
import type { Attempt } from '../history/history.ts';
import { RecordWriter } from '../history/record.ts';
import { underLoad } from '../load.ts';
import type { World } from '../world.ts';

/**
 * Transactions are held open until everything else is delivered: one here, one in another database,
 * a prepared one, and one that only reads. What they publish is delivered once they end.
 */
export const heldTransactions: Experiment = {
  name: 'held-transactions',
  async run(world) {
    const record = new RecordWriter<Attempt>(join(world.folder, 'attempts.jsonl'));
    const elsewhere = new URL(world.url);
    elsewhere.pathname = '/postgres';
    const [open, prepared, other, reading] = await Promise.all([
      openClient(world.url),
      openClient(world.url),
      openClient(elsewhere.href),
      openClient(world.url),
    ]);
    try {
      await publish(open, record, 'held.open');
      await publish(prepared, record, 'held.prepared');
      await prepared.query(`prepare transaction '${nameOf(world)}'`);
      await other.query('begin; select pg_current_xact_id()');
      await reading.query('begin isolation level repeatable read; select 1');
      world.count('transaction held open', 4);
      const harm = (signal: AbortSignal) =>
        new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      await underLoad(world, { harm });
      world.overdue.push(...(await drain(world)).map((missing) => `while held: ${missing}`));
      await open.query('commit');
      record.append({ token: 'held.open', outcome: 'committed' });
    } finally {
      await prepared.query(`commit prepared '${nameOf(world)}'`);
      record.append({ token: 'held.prepared', outcome: 'committed' });
      await Promise.all([open, prepared, other, reading].map((client) => client.end()));
    }
  },
  mutants: {
    'id > cursor and xid < xmin': { reader: 'id > cursor and xid < xmin', shows: ['lost'] },
  },
};

async function openClient(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: 'holder' });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Begins a transaction and publishes in it. A prepared transaction may not have used NOTIFY. */
async function publish(client: Client, record: RecordWriter<Attempt>, token: string) {
  await client.query(`begin; set local pgwatch.notify = 'off'`);
  record.append({ token, outcome: 'unknown' });
  await client.query(`select smart_notify('torture', $1)`, [{ token, sequence: 0 }]);
}

const nameOf = (world: World) => `held ${world.seed}`;
