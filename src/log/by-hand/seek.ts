import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { withTransaction } from '../../database/transaction.ts';
import { isReadSql } from '../channels.ts';
import { wakeOrphans } from '../deliveries/wake-orphans.ts';
import { lockLeases } from '../leases/lock-leases.ts';
import { safeId } from '../notification.ts';
import { type Beginning, beginningAt, type From } from '../positions/beginning.ts';
import { tellDaemons } from '../positions/daemons.ts';
import { reachedSql } from '../positions/settled-sql.ts';
import { isLiveSql, lockTaking } from './locks.ts';
import { dropDiscarded, dropReread, takeBackLeases } from './seek-standing.ts';

/**
 * Where to move a position: to a given next notification, or by a number of notifications of its
 * channels.
 */
export type SeekTarget = From | { by: number };

/** The result of a seek. */
export type Sought = {
  /** The highest id that counts as settled from now on. */
  doneId: number;
  /** How many waited for a retry, or were dead, and are delivered from the log again. */
  reread: number;
  /** How many were leased and not done, and are delivered from the log again. */
  released: number;
};

/**
 * Moves a consumer's position, permanently and at once: a live owner loses the consumer, lets its
 * handlers return, and takes the consumer over again at the new position. A notification that has
 * not committed by then is delivered once it has, whatever its id.
 * @param seek.seenEpoch the epoch of the plan
 * @param seek.mode idle: only while no live daemon runs it
 * @returns null if a daemon has taken it over since, or, in mode idle, runs it
 */
export async function seekPosition(
  client: ClientBase,
  schema: string,
  seek: { consumerId: string; to: SeekTarget; seenEpoch: number; mode: 'idle' | 'live' },
): Promise<Sought | null> {
  const { consumerId, mode } = seek;
  return withTransaction(client, async () => {
    await lockTaking(client, schema, consumerId);
    const { rows } = await client.query(moveSql(schema, seek.to), [
      consumerId,
      seek.seenEpoch,
      mode === 'live',
      ...seekSql(schema, seek.to, '$4').values,
    ]);
    if (!rows[0]) return null;
    const doneId = safeId((rows[0] as { id: string }).id);
    await lockLeases(client, schema, consumerId);
    const released = await takeBackLeases(client, schema, consumerId, doneId);
    const reread = await dropReread(client, schema, consumerId, doneId);
    await dropDiscarded(client, schema, consumerId, doneId);
    await wakeOrphans(client, schema, consumerId);
    await tellDaemons(client, schema, 'owners');
    return { doneId, reread, released };
  });
}

/**
 * Backward: what was settled up to the target stays settled, and nothing else becomes settled, so
 * no late commit is skipped. Forward: everything visible up to the target becomes settled, in the
 * snapshot of the statement that finds the target.
 */
function moveSql(schema: string, to: SeekTarget): string {
  const at = seekSql(schema, to, '$4');
  return `
update ${qualified(schema, 'consumer_progress')} as progress
set (done_id, done_snapshot, done_xid, window_snapshot, window_end, window_id, window_xid,
    began_id, began_snapshot, began_at) = (
    select
      case when is_back then least(progress.done_id, at.id) else at.id end,
      case when is_back then progress.done_snapshot else at.snapshot end,
      case when is_back then progress.done_xid end,
      case when is_back then progress.window_snapshot end,
      case when is_back then progress.window_end end,
      /* Null means no window; least() would replace it by a number. */
      case when is_back and progress.window_id is not null
        then least(progress.window_id, at.id) end,
      case when is_back then progress.window_xid end,
      case when is_back then least(progress.began_id, at.id) else at.id end,
      case when is_back then progress.began_snapshot else at.snapshot end,
      case when is_back then progress.began_at else now() end
    from (
      /* offset 0: the target is found once, not once per column. */
      select id, snapshot, id <= ${reachedSql('progress')} as is_back
      from (select ${at.doneId} as id, ${at.doneSnapshot} as snapshot offset 0) as target
    ) as at),
  epoch = epoch + 1, moved_at = now(), saved_at = now()
where consumer_id = $1 and epoch = $2 and ($3::boolean or not ${isLiveSql(schema)})
returning ${reachedSql('progress')}::text as id`;
}

/** H and S of a target, for a statement in which progress is the consumer's row. */
export function seekSql(schema: string, to: SeekTarget, parameter: string): Beginning {
  if (typeof to !== 'object' || to instanceof Date) return beginningAt(schema, to, parameter);
  const log = qualified(schema, 'notification_log');
  const isOwn = isReadSql(schema, 'progress', 'log');
  const nth = (way: string) => `order by id ${way} offset ${parameter}::bigint - 1 limit 1`;
  const reached = reachedSql('progress');
  const doneId =
    to.by > 0
      ? `coalesce((select id from ${log} as log where id > ${reached} and ${isOwn} ${nth('')}),
          (select max(id) from ${log}), 0)`
      : `coalesce((
          select id - 1 from ${log} as log where id <= ${reached} and ${isOwn} ${nth('desc')}), 0)`;
  return { doneId, doneSnapshot: 'pg_current_snapshot()', values: [Math.abs(to.by)] };
}
