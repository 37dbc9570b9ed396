import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { settingsSql, withTransaction } from '../../database/transaction.ts';
import { readLags } from '../positions/lag.ts';
import { lockPending, lockTaking } from './locks.ts';

/** What is removed with a consumer. */
export type Removed = {
  consumerId: string;
  /** The highest id that it had settled. */
  doneId: number;
  /** About how many notifications of its channels it has not read. */
  unread: number;
  isExact: boolean;
  retrying: number;
  blocked: number;
  dead: number;
  /** Parts of its work, if it is shared. */
  leases: number;
  /** Records of how far snapshots of tables were delivered to it. */
  snapshots: number;
};

/** A live daemon that runs or wants a consumer. */
export type InUse = { host: string; pid: number };

/**
 * Removes a consumer with all its data, unless a live daemon runs or wants it.
 * @returns what was or would be removed; the daemons that use it, if it stays; null if there is no
 *   such consumer
 */
export async function removeConsumer(
  client: ClientBase,
  schema: string,
  { consumerId, isDryRun }: { consumerId: string; isDryRun: boolean },
): Promise<{ removed: Removed } | { inUse: InUse[] } | null> {
  return withTransaction(client, async () => {
    if (!isDryRun) await lockTaking(client, schema, consumerId);
    await client.query(settingsSql({ lock_timeout: '5s' }, 'transaction'));
    const { rows } = await client.query<Pick<Removed, 'doneId'>>(
      `select to_jsonb(greatest(done_id, window_id)) as "doneId"
       from ${qualified(schema, 'consumer_progress')}
       where consumer_id = $1 ${isDryRun ? '' : 'for update'}`,
      [consumerId],
    );
    const [found] = rows;
    if (!found) return null;
    const inUse = await readUsers(client, schema, consumerId);
    if (inUse.length > 0) return { inUse };
    const counts = await countAll(client, schema, consumerId);
    const lags = await readLags(client, schema, [consumerId]);
    const { unread, isExact } = lags.get(consumerId) ?? { unread: 0, isExact: true };
    if (!isDryRun) {
      await lockPending(client, schema, consumerId);
      for (const table of TABLES) {
        await client.query(`delete from ${qualified(schema, table)} where consumer_id = $1`, [
          consumerId,
        ]);
      }
    }
    return { removed: { consumerId, ...found, unread, isExact, ...counts } };
  });
}

/** Reads the live daemons that run or want the consumer. */
export async function readUsers(
  client: ClientBase,
  schema: string,
  consumerId: string,
): Promise<InUse[]> {
  const { rows } = await client.query<InUse>(
    `select host, pid from ${qualified(schema, 'live_daemon')} as live
     where $1 = any(consumer_ids || shared_ids) or daemon_id = (
       select owner from ${qualified(schema, 'consumer_progress')} where consumer_id = $1)
     order by started_at`,
    [consumerId],
  );
  return rows;
}

async function countAll(client: ClientBase, schema: string, consumerId: string): Promise<Counts> {
  const { rows } = await client.query(
    `select
       count(*) filter (where state = 'retry')::float8 as retrying,
       count(*) filter (where state = 'blocked')::float8 as blocked,
       count(*) filter (where state = 'dead')::float8 as dead,
       (select count(*) from ${qualified(schema, 'lease')} where consumer_id = $1)::float8
         as leases,
       (select count(*) from ${qualified(schema, 'snapshot')} where consumer_id = $1)::float8
         as snapshots
     from ${qualified(schema, 'delivery')} where consumer_id = $1`,
    [consumerId],
  );
  return rows[0] as Counts;
}

type Counts = Omit<Removed, 'consumerId' | 'doneId' | 'unread' | 'isExact'>;

/** The tables that have rows of a consumer. */
const TABLES = [
  'delivery',
  'discarded',
  'lease',
  'snapshot',
  'consumer_channel',
  'consumer_progress',
];
