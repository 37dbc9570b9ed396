import type { ClientBase } from 'pg';
import { qualified } from '../database/names.ts';
import { withTransaction } from '../database/transaction.ts';
import { type Beginning, beginningAt, type From } from './beginning.ts';
import { isLiveSql, lockLeases, lockTaking, wakeOrphans } from './by-hand.ts';
import { tellDaemons } from './daemons.ts';
import { safeId } from './notification.ts';
import { dropReread, takeBackLeases } from './seek-standing.ts';
import { reachedSql } from './settled-sql.ts';

/** Where a position is to be moved: so that one is next, or by so many notifications of its channels. */
export type SeekTarget = From | { by: number };

/** What a seek has done. */
export type Sought = {
  /** The highest id that counts as settled from now on. */
  doneId: number;
  /** So many waited for a retry, and are handed out from the log again. */
  reread: number;
  /** So many were leased to nobody yet, and are handed out from the log again. */
  released: number;
};

/**
 * Moves a consumer's position, for good and at once: an owner that is alive loses the consumer by it,
 * lets its handlers return, and takes it over again at the new position.
 *
 * The id and the snapshot of the position come from one statement, as those of a new consumer do: what
 * has not committed by then is handed out once it has, whatever its id.
 * @param seek.seenEpoch at which it was looked at
 * @param seek.mode idle: only while nobody who is alive runs it
 * @returns null where somebody has taken it over since, or runs it
 */
export async function seekPosition(
  client: ClientBase,
  schema: string,
  seek: { consumerId: string; to: SeekTarget; seenEpoch: number; mode: 'idle' | 'live' },
): Promise<Sought | null> {
  const { consumerId, mode } = seek;
  return withTransaction(client, async () => {
    await lockTaking(client, schema, consumerId);
    const at = seekSql(schema, seek.to, '$4');
    const { rows } = await client.query(
      `update ${qualified(schema, 'consumer_progress')} as progress
       set (done_id, done_snapshot, began_id, began_snapshot) = (
           select at.id, at.snapshot, at.id, at.snapshot
           from (select ${at.doneId} as id, ${at.doneSnapshot} as snapshot offset 0) as at),
         done_xid = null, window_snapshot = null, window_end = null, window_id = null,
         window_xid = null, began_at = now(), epoch = epoch + 1, saved_at = now()
       where consumer_id = $1 and epoch = $2 and ($3::boolean or not ${isLiveSql(schema)})
       returning done_id::text as id`,
      [consumerId, seek.seenEpoch, mode === 'live', ...at.values],
    );
    if (!rows[0]) return null;
    const doneId = safeId((rows[0] as { id: string }).id);
    await lockLeases(client, schema, consumerId);
    const released = await takeBackLeases(client, schema, consumerId, doneId);
    const reread = await dropReread(client, schema, consumerId, doneId);
    await wakeOrphans(client, schema, consumerId);
    await tellDaemons(client, schema, 'owners');
    return { doneId, reread, released };
  });
}

/** H and S of a target, for a statement that has the consumer's row as progress. */
export function seekSql(schema: string, to: SeekTarget, parameter: string): Beginning {
  if (typeof to !== 'object' || to instanceof Date) return beginningAt(schema, to, parameter);
  const log = qualified(schema, 'notification_log');
  const isOwn = 'channel = any(progress.channels)';
  const nth = (way: string) => `order by id ${way} offset ${parameter}::bigint - 1 limit 1`;
  const reached = reachedSql('progress');
  const doneId =
    to.by > 0
      ? `coalesce((select id from ${log} where id > ${reached} and ${isOwn} ${nth('')}),
          (select max(id) from ${log}), 0)`
      : `coalesce((select id - 1 from ${log} where id <= ${reached} and ${isOwn} ${nth('desc')}), 0)`;
  return { doneId, doneSnapshot: 'pg_current_snapshot()', values: [Math.abs(to.by)] };
}
