import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { beginSnapshot, copyBatch } from '../../src/capture/snapshot.ts';
import { readCaptureStates } from '../../src/capture/state.ts';
import { seededRandom } from '../racing/random.ts';
import { DIFFERENCES_SQL, MIRROR_SQL, WRITES } from './mirror-sql.ts';
import type { World } from './world.ts';
import { WriterConnection } from './writers/connection.ts';

/** The channel of the captured tables. */
export const MIRRORED = 'mirrored';

/** Makes tables that already have rows when they are captured. */
export async function captureTables(world: World): Promise<void> {
  await world.withClient(async (client) => {
    await client.query(MIRROR_SQL);
    for (const table of TABLES) {
      await createTrigger(client, `torture.${table}`, { channel: MIRRORED });
    }
  });
}

/** Changes the tables in overlapping transactions, until the signal aborts. */
export async function changeTables(world: World, index: number, stop: AbortSignal): Promise<void> {
  const random = seededRandom(world.seed * 1000 + 700 + index);
  const connection = new WriterConnection(world.url);
  while (!stop.aborted) {
    const work = (client: Client) => changeOnce(client, random);
    // After a deadlock or a lost connection it starts again.
    await connection.run(work).catch(() => delay(20 + random() * 50));
  }
  connection.close();
}

async function changeOnce(client: Client, random: () => number): Promise<void> {
  await client.query('begin');
  for (let count = 1 + Math.floor(random() * 3); count > 0; count--) {
    const isUndone = random() < 0.1;
    await client.query('savepoint s');
    const statement = WRITES[Math.floor(random() * WRITES.length)] ?? '';
    await client.query(statement, [1 + Math.floor(random() * 100)]);
    if (isUndone) await client.query('rollback to savepoint s');
    await delay(random() < 0.8 ? random() * 20 : 100);
  }
  await client.query(random() < 0.1 ? 'rollback' : 'commit');
}

/**
 * Copies all tables to a consumer as "pgwatch snapshot" does; after any error it resumes.
 * @param again as its --again
 */
export async function takeSnapshot(world: World, consumerId: string, again: boolean) {
  for (const name of TABLES) {
    for (let isBegun = false, isFinished = false; !isFinished; ) {
      try {
        await world.withClient(async (client) => {
          tamper(client, world);
          const names = { schema: 'pgwatch', apiSchema: 'public' };
          const states = await readCaptureStates(client, names);
          const state = states.find(({ table }) => table.name === name);
          if (!state) throw new Error(`${name} is not captured`);
          const wanted = { consumerId, table: state.table, batchSize: 15 };
          let progress = await beginSnapshot(client, names, wanted, again && !isBegun);
          isBegun = true;
          while (!progress.isFinished) {
            progress = (await copyBatch(client, names, wanted)) ?? progress;
          }
          isFinished = true;
        });
      } catch {
        world.count('snapshot interrupted');
        await delay(20);
      }
    }
  }
  world.count('snapshot of the tables');
}

/** The differences between the consumers' mirrors and the tables. */
export async function findDifferences(world: World): Promise<string[]> {
  const found: string[] = [];
  for (const { id } of world.consumers) {
    const rows = await world.query<{ text: string }>(DIFFERENCES_SQL, [id]);
    found.push(...rows.map(({ text }) => `${id}: ${text}`));
  }
  return found;
}

function tamper(client: Client, { mutation }: World): void {
  const { rewrite } = mutation;
  if (!rewrite) return;
  const query = client.query.bind(client) as (text: string, values?: unknown[]) => Promise<never>;
  client.query = ((text: string, values?: unknown[]) => query(rewrite(text), values)) as never;
}

const TABLES = ['item', 'part'];
