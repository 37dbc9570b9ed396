import { join } from 'node:path';
import type { Client } from 'pg';
import { RecordWriter } from './history/record.ts';
import type { World } from './world.ts';

/** Why a log and its positions do not belong together. */
export type Apart = 'without rows' | 'older log' | 'sequence set back';

/** Records the log as it is, like a dump. */
export async function dumpLog(world: World): Promise<void> {
  await world.query(`
    drop table if exists torture.dump;
    create table torture.dump as
      select id, created_at, (select last_value from pgwatch.notification_log_id_seq) as last_id
      from pgwatch.notification_log`);
}

/**
 * Restores the log, but not the positions, while no writer can write. PostgreSQL has lost what is
 * no longer in the log. Writers continue right after it.
 * @returns the time of the restore
 */
export async function restoreLog(world: World, apart: Apart): Promise<string> {
  const { gone, at } = await world.withClient(async (client) => {
    await client.query('begin');
    await client.query('lock table pgwatch.notification_log in access exclusive mode');
    const tokens = await RESTORES[apart](client);
    await client.query('delete from torture.effect where token = any($1)', [tokens]);
    const { rows } = await client.query('select clock_timestamp()::text as at');
    await client.query('commit');
    return { gone: tokens, at: rows[0].at as string };
  });
  const record = new RecordWriter<{ token: string }>(join(world.folder, 'taken-back.jsonl'));
  for (const token of gone) record.append({ token });
  record.close();
  world.count(apart === 'sequence set back' ? apart : `log restored: ${apart}`);
  return at;
}

/** Each returns the tokens that the log no longer has. */
const RESTORES: Record<Apart, (client: Client) => Promise<string[]>> = {
  async 'without rows'(client) {
    const gone = await removeWhere(client, 'true');
    await client.query(`select setval('pgwatch.notification_log_id_seq', 1, false)`);
    return gone;
  },
  async 'older log'(client) {
    const gone = await removeWhere(
      client,
      '(id, created_at) not in (select id, created_at from torture.dump)',
    );
    await client.query(
      `select setval('pgwatch.notification_log_id_seq', max(last_id)) from torture.dump`,
    );
    return gone;
  },
  async 'sequence set back'(client) {
    await client.query(
      `select setval('pgwatch.notification_log_id_seq', greatest(1, last_value * 2 / 3))
       from pgwatch.notification_log_id_seq`,
    );
    return [];
  },
};

async function removeWhere(client: Client, condition: string): Promise<string[]> {
  const { rows } = await client.query<{ token: string }>(
    `delete from pgwatch.notification_log where ${condition} returning payload->>'token' as token`,
  );
  return rows.map(({ token }) => token);
}
