import type { QueryResultRow } from 'pg';
import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { safeId } from '../notification.ts';
import { beginningAt, type From } from './beginning.ts';
import type { Position, Snapshot, Xid } from './position.ts';
import { CLAIMED_ON } from './server-sql.ts';

export type { From };

/** Reads the channels that the consumer has read since it last ran. */
export async function readChannels(
  client: Queryable,
  schema: string,
  consumerId: string,
): Promise<string[]> {
  const { rows } = await client.query<{ channels: string[] }>(
    `select channels from ${qualified(schema, 'consumer_progress')} where consumer_id = $1`,
    [consumerId],
  );
  return rows[0]?.channels ?? [];
}

/** The right to save a consumer's position, on one server. */
export type Claim = {
  consumerId: string;
  epoch: number;
  /**
   * The value of CLAIMED_ON. On another server, the position would hide other notifications, to
   * which its ids and xids are assigned again. It includes when the consumer was registered: if it
   * is removed and registered again, its epochs start again, too.
   */
  server: string;
};

/** What a new owner finds. */
export type Takeover = Claim & {
  position: Position;
  /** The daemon that ran it before; null if that stopped cleanly. */
  previousOwner: string | null;
  /** The channels that it read until now. */
  previousChannels: string[];
};

/**
 * Makes sure that the consumer has a row. A new one begins where `from` says.
 * @returns true if it is new
 */
export async function registerConsumer(
  client: Queryable,
  schema: string,
  consumer: { id: string; channels: readonly string[]; from: From; fromText?: string },
): Promise<boolean> {
  const { doneId, doneSnapshot, values } = beginningAt(schema, consumer.from, '$4');
  const inserted = await client.query(
    `insert into ${qualified(schema, 'consumer_progress')}
       (consumer_id, channels, done_id, done_snapshot, began_id, began_snapshot, began_from)
     select $1, $2::text[], at.done_id, at.done_snapshot, at.done_id, at.done_snapshot, $3
     from (select ${doneId} as done_id, ${doneSnapshot} as done_snapshot) as at
     where not exists (
       /* If it exists, on conflict would wait for a session that is saving it. */
       select from ${qualified(schema, 'consumer_progress')} where consumer_id = $1)
     on conflict (consumer_id) do nothing`,
    [consumer.id, consumer.channels, consumer.fromText ?? null, ...values],
  );
  return inserted.rowCount === 1;
}

/**
 * Records where the consumer's file says that it begins.
 * @returns what it said before; null if that is the same, or unknown
 */
export async function noteFrom(
  client: Queryable,
  schema: string,
  { consumerId, fromText }: { consumerId: string; fromText: string },
): Promise<string | null> {
  const progress = qualified(schema, 'consumer_progress');
  const { rows } = await client.query<{ before: string | null }>(
    `update ${progress} as progress set began_from = $2
     from (select began_from from ${progress} where consumer_id = $1) as before
     where consumer_id = $1 and progress.began_from is distinct from $2
     returning before.began_from as before`,
    [consumerId, fromText],
  );
  return rows[0]?.before ?? null;
}

/**
 * Makes the caller the consumer's owner: raises the epoch, which makes every write of an earlier
 * owner fail from now on, and reads the position.
 * @param claim.seenEpoch the epoch at which the consumer was found to have no live owner
 * @returns null if another process was faster, or holds the row: one that is frozen in the middle
 *   of a transaction must not block this one. Also null if the consumer has been paused since, or a
 *   newer version of it has started
 */
export async function takeOver(
  client: Queryable,
  schema: string,
  claim: { consumerId: string; channels: readonly string[]; owner: string; seenEpoch: number },
): Promise<Takeover | null> {
  const progress = qualified(schema, 'consumer_progress');
  const { rows } = await client.query(
    `update ${progress} as progress
     set epoch = progress.epoch + 1, owner = $2, owned_since = now(), channels = $3,
       is_shared = false
     from (
       select owner, channels from ${progress} where consumer_id = $1 for update skip locked
     ) as before
     where consumer_id = $1 and epoch = $4 and not ${IS_PAUSED}
       and not ${qualified(schema, 'older_version')}($1, $2::uuid)
     returning progress.epoch::text, ${CLAIMED_ON} as server, before.owner as previous_owner,
       before.channels as previous_channels, ${POSITION_COLUMNS}`,
    [claim.consumerId, claim.owner, claim.channels, claim.seenEpoch],
  );
  const row = rows[0] as
    | (PositionRow & {
        epoch: string;
        server: string;
        previous_owner: string | null;
        previous_channels: string[];
      })
    | undefined;
  if (!row) return null;
  return {
    consumerId: claim.consumerId,
    epoch: Number(row.epoch),
    server: row.server,
    position: toPosition(row),
    previousOwner: row.previous_owner,
    previousChannels: row.previous_channels,
  };
}

/**
 * Records whether the notifications of a key wait for each other. Sessions that file deliveries
 * need to know: without this order, blocked deliveries would never be delivered.
 * @returns true if that has changed
 */
export async function noteOrder(
  client: Queryable,
  schema: string,
  { consumerId, isOrdered }: { consumerId: string; isOrdered: boolean },
): Promise<boolean> {
  const { rowCount } = await client.query(
    `update ${qualified(schema, 'consumer_progress')} set is_ordered = $2
     where consumer_id = $1 and is_ordered <> $2`,
    [consumerId, isOrdered],
  );
  return rowCount === 1;
}

/**
 * Records that the position was moved other than by settling: notifications before it may have been
 * skipped. The caller has locked its position.
 */
export async function noteBeginning(
  client: Queryable,
  schema: string,
  consumerId: string,
): Promise<void> {
  await client.query(
    `update ${qualified(schema, 'consumer_progress')}
     set began_id = done_id, began_snapshot = done_snapshot, began_at = now(), moved_at = now()
     where consumer_id = $1`,
    [consumerId],
  );
}

/** Records a clean stop. Does nothing for a past owner. */
export async function releaseOwnership(
  client: Queryable,
  schema: string,
  claim: Omit<Claim, 'server'>,
): Promise<void> {
  await client.query(
    `update ${qualified(schema, 'consumer_progress')} set owner = null, owned_since = null
     where consumer_id = $1 and epoch = $2`,
    [claim.consumerId, claim.epoch],
  );
}

/**
 * Whether the consumer of a row of consumer_progress is paused, by the server's clock: then no
 * daemon may run it.
 */
export const IS_PAUSED = 'coalesce(paused_until > clock_timestamp(), paused_at is not null)';

/** Whether two lists contain the same channels, in any order. */
export function areSameSql(channels: string, others: string): string {
  return `(${channels} @> ${others}::text[] and ${channels} <@ ${others}::text[])`;
}

/** The columns of a position, for toPosition(). */
export const POSITION_COLUMNS = `done_id::text, done_snapshot::text, done_xid::text,
  window_snapshot::text, window_end::text, window_id::text, window_xid::text`;

export type PositionRow = QueryResultRow & {
  done_id: string;
  done_snapshot: Snapshot;
  done_xid: Xid | null;
  window_snapshot: Snapshot | null;
  window_end: string | null;
  window_id: string | null;
  window_xid: Xid | null;
};

export function toPosition(row: PositionRow): Position {
  return {
    doneId: safeId(row.done_id),
    doneSnapshot: row.done_snapshot,
    doneXid: row.done_xid,
    window:
      row.window_snapshot === null
        ? null
        : {
            snapshot: row.window_snapshot,
            endId: safeId(row.window_end ?? '0'),
            id: safeId(row.window_id ?? '0'),
            xid: row.window_xid,
          },
  };
}
