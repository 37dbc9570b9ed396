import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { isReadSql } from '../channels.ts';
import { safeId } from '../notification.ts';
import { isStoppedSql } from '../positions/running-sql.ts';
import { reachedSql, settledSql } from '../positions/settled-sql.ts';
import { isLiveSql } from './locks.ts';
import { type SeekTarget, seekSql } from './seek.ts';

/** What moving a position would do in the current state. */
export type SeekPlan = {
  /** Has to be passed to seekPosition. */
  epoch: number;
  isLive: boolean;
  isShared: boolean;
  /** True if a live daemon reports that it takes nothing new because of a dead letter. */
  isStopped: boolean;
  /** The highest id that is settled now, and the highest that would be. */
  fromId: number;
  toId: number;
  /** The first and the last notification in the log; null if it is empty. */
  oldestId: number | null;
  newestId: number | null;
  /** How many of its channels, among those examined, would be delivered again, or never. */
  again: number;
  skipped: number;
  /** False if there are too many in between to examine all: the real numbers are higher. */
  isExact: boolean;
  /** Deliveries in between. */
  dead: number;
  waiting: number;
  /** Leased notifications: the consumer is shared, and its position has passed them. */
  leased: number;
};

/** Reads the plan; changes nothing. The consumer must be registered. */
export async function planSeek(
  client: Queryable,
  schema: string,
  { consumerId, to }: { consumerId: string; to: SeekTarget },
): Promise<SeekPlan> {
  const log = qualified(schema, 'notification_log');
  const at = seekSql(schema, to, '$2');
  const { rows } = await client.query(
    `select to_jsonb(progress.epoch) as epoch, progress.is_shared as "isShared",
       ${isLiveSql(schema)} as "isLive",
       ${isStoppedSql(schema, 'progress')} as "isStopped",
       ${reachedSql('progress')}::text as from_id, (${at.doneId})::text as to_id,
       (select to_jsonb(min(id)) from ${log}) as "oldestId",
       (select to_jsonb(max(id)) from ${log}) as "newestId"
     from ${qualified(schema, 'consumer_progress')} as progress where consumer_id = $1`,
    [consumerId, ...at.values],
  );
  const { from_id, to_id, ...found } = rows[0] as Found;
  const [fromId, toId] = [safeId(from_id), safeId(to_id)];
  const between = { consumerId, fromId, toId };
  return { ...found, fromId, toId, ...(await countBetween(client, schema, between)) };
}

async function countBetween(
  client: Queryable,
  schema: string,
  { consumerId, fromId, toId }: { consumerId: string; fromId: number; toId: number },
): Promise<Pick<SeekPlan, 'again' | 'skipped' | 'isExact' | 'dead' | 'waiting' | 'leased'>> {
  const delivery = qualified(schema, 'delivery');
  const isBetween = `d.consumer_id = $1 and d.notification_id > $2 and d.notification_id <= $3`;
  const { rows } = await client.query(
    `with seen as (
       select ${isReadSql(schema, 'progress', 'log')} as is_own,
         ${settledSql(schema, 'progress', 'log')} as is_settled
       from ${qualified(schema, 'consumer_progress')} as progress,
         ${qualified(schema, 'origin')} as origin,
         lateral (
           select id, xid, channel from ${qualified(schema, 'notification_log')}
           where id > $2 and id <= $3 order by id limit ${SEEN_MAX}
         ) as log
       where progress.consumer_id = $1
     )
     select count(*) filter (where is_own and is_settled)::float8 as settled,
       count(*) filter (where is_own and not is_settled)::float8 as open,
       count(*) < ${SEEN_MAX} as "isExact",
       (select count(*) from ${delivery} as d where ${isBetween} and state = 'dead')::float8
         as dead,
       (select count(*) from ${delivery} as d where ${isBetween} and state <> 'dead')::float8
         as waiting,
       (select coalesce(sum(cardinality(notification_ids)), 0)
         from ${qualified(schema, 'lease')} where consumer_id = $1)::float8 as leased
     from seen`,
    [consumerId, Math.min(fromId, toId), Math.max(fromId, toId)],
  );
  const { settled, open, ...found } = rows[0] as Counted;
  // Notifications that a forward seek passes may have a delivery: they are not skipped, but
  // delivered through it, or dead.
  return toId < fromId
    ? { ...found, again: settled, skipped: 0 }
    : { ...found, again: 0, skipped: Math.max(0, open - found.dead - found.waiting) };
}

type Found = Pick<
  SeekPlan,
  'epoch' | 'isLive' | 'isShared' | 'isStopped' | 'oldestId' | 'newestId'
> & {
  from_id: string;
  to_id: string;
};

type Counted = Pick<SeekPlan, 'isExact' | 'dead' | 'waiting' | 'leased'> & {
  settled: number;
  open: number;
};

/** The maximum number of notifications examined to count; this takes less than a second. */
const SEEN_MAX = 1_000_000;
