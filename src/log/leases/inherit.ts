import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { channelTest, isOneOfSql } from '../channels.ts';
import { type DeliveryScope, unhandled } from '../deliveries/delivery.ts';
import { fileChanges } from '../deliveries/file-changes.ts';
import { lockedSql } from '../deliveries/locked-sql.ts';
import { readFiled } from '../deliveries/standing.ts';
import { wakeOrphans } from '../deliveries/wake-orphans.ts';
import { safeId } from '../notification.ts';
import { pageReader } from '../page.ts';
import type { Position } from '../positions/position.ts';
import { POSITION_COLUMNS, type PositionRow, toPosition } from '../positions/progress.ts';
import { settledSql } from '../positions/settled-sql.ts';
import { saveSharedPosition } from './shared-position.ts';

/**
 * Prepares what an owner has left behind for its successor, or for the processes that share the
 * consumer from now on. Runs in the transaction that takes the consumer from it.
 * @returns the position from which to read on; null if that has not changed
 */
export async function inheritDeliveries(
  client: ClientBase,
  schema: string,
  scope: DeliveryScope & { channels: readonly string[] },
): Promise<Position | null> {
  await endCalls(client, schema, scope.consumerId);
  return scope.isOrdered ? fileUpToAhead(client, schema, scope) : null;
}

/** Makes due what the owner was calling: it does so no longer. */
async function endCalls(client: ClientBase, schema: string, consumerId: string): Promise<void> {
  await client.query(
    `update ${qualified(schema, 'delivery')}
     set called_attempt = null, next_attempt_at = case state when 'retry' then clock_timestamp() end
     where consumer_id = $1 and notification_id in ${lockedSql(schema, IS_CALLED)}`,
    [consumerId],
  );
}

const IS_CALLED = 'd.called_attempt is not null';

/**
 * If there are deliveries ahead of the position, files everything up to the last of them, and moves
 * the position past it. While one call is slow, the position stays, and failures after it are
 * filed; an owner that dies then has handled earlier notifications of their keys, or not. Read from
 * the log, these could come after the retries. As deliveries they wait for each other in their
 * order, whatever else holds back new notifications.
 */
async function fileUpToAhead(
  client: ClientBase,
  schema: string,
  { consumerId, channels }: { consumerId: string; channels: readonly string[] },
): Promise<Position | null> {
  const { rows } = await client.query<PositionRow & Ahead>(
    `select ${POSITION_COLUMNS}, rebased_id::text, ahead.ids as ahead, ahead.channels
     from ${qualified(schema, 'consumer_progress')} as progress
     cross join ${qualified(schema, 'origin')} as origin
     cross join lateral (
       select coalesce(array_agg(log.id::text), '{}') as ids,
         coalesce(array_agg(distinct log.channel), '{}') as channels
       from ${qualified(schema, 'delivery')} as d
       join ${qualified(schema, 'notification_log')} as log on log.id = d.notification_id
       where d.consumer_id = progress.consumer_id and d.key is not null
         and (${isOneOfSql(schema, 'log.channel', '$2')} or d.state <> 'dead')
         and not ${settledSql(schema, 'progress', 'log')}) as ahead
     where consumer_id = $1`,
    [consumerId, channels],
  );
  const [row] = rows;
  if (!row || row.ahead.length === 0) return null;
  // Not up to an id: late commits have ids below the position.
  const ahead = new Set(row.ahead.map(safeId));
  const rebasedId = safeId(row.rebased_id);
  const readPage = pageReader(schema);
  let position = toPosition(row);
  // A delivery may be on a channel that the consumer reads no longer.
  const read = [...new Set([...channels, ...row.channels])];
  const isRead = channelTest(channels);
  while (ahead.size > 0) {
    const page = await readPage(client, { position, channels: read, limit: LIMIT, rebasedId });
    if (page.after === page.before) break;
    const ids = page.rows.map(([id]) => safeId(id));
    const filed = await readFiled(client, schema, consumerId, ids);
    const left = page.rows
      .filter(([id, , , channel]) => isRead(channel) && !filed.has(safeId(id)))
      .map(([id, , , , key]) => unhandled({ id: safeId(id), key }, true));
    await fileChanges(client, schema, consumerId, left);
    for (const id of ids) ahead.delete(id);
    position = page.after;
  }
  // Once, at the end: the stretch may have as many rows as an owner may have read ahead.
  await wakeOrphans(client, schema, consumerId);
  // Its bound is not known yet: the xid of this transaction is older than the snapshot.
  await saveSharedPosition(client, schema, consumerId, position);
  return position;
}

type Ahead = {
  rebased_id: string;
  /** The ids of the deliveries ahead, and their channels. */
  ahead: string[];
  channels: string[];
};

const LIMIT = { rows: 1000, bytes: 4 * 1024 * 1024 };
