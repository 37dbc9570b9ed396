import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { safeId } from '../notification.ts';
import type { Position } from '../positions/position.ts';
import {
  areSameSql,
  IS_PAUSED,
  POSITION_COLUMNS,
  type PositionRow,
  toPosition,
} from '../positions/progress.ts';
import { alongSql } from '../positions/row-place.ts';
import { SERVER } from '../positions/server-sql.ts';

/** A process that shares a consumer. */
export type SharedReader = {
  consumerId: string;
  /** The channels that its version of the consumer reads. */
  channels: readonly string[];
  daemonId: string;
};

/**
 * Where the newest version of a consumer's row was when this process last saw it. While a session
 * holds a snapshot, vacuum removes none of the versions written since, and an index scan would
 * visit all of them.
 */
export type RowPlace = { ctid: string | null };

/**
 * The last id assigned to a lease of any consumer, and the server that assigned it, as the value of
 * SERVER: another server may have assigned ids again without the sequence ever seeming to go back.
 */
export type GivenLeases = { server: string; lastId: number };

/**
 * Reads the position of a shared consumer; the caller has to hold the lock. Null if the consumer is
 * paused, or not shared, or a newer version reads other channels for it by now.
 */
export async function readSharedPosition(
  client: ClientBase,
  schema: string,
  { consumerId, channels, daemonId }: SharedReader,
  place: RowPlace = { ctid: null },
): Promise<{ position: Position; given: GivenLeases } | null> {
  const read = async (isAt: string, values: unknown[]) => {
    const { rows } = await client.query(
      `update ${qualified(schema, 'consumer_progress')} as progress
       set done_xid = coalesce(done_xid, pg_current_xact_id()),
         window_xid = case when window_snapshot is not null
           then coalesce(window_xid, pg_current_xact_id()) end
       where is_shared and not ${IS_PAUSED} and ${areSameSql('channels', '$2')}
         and not ${qualified(schema, 'older_version')}($1::text, $3::uuid) and ${isAt}
       returning ctid::text, ${POSITION_COLUMNS}, ${SERVER} as server, (
         select (last_value - case when is_called then 0 else 1 end)::text
         from ${qualified(schema, 'lease_lease_id_seq')}) as "lastId"`,
      [consumerId, channels, daemonId, ...values],
    );
    return rows[0] as (PositionRow & Record<'ctid' | 'server' | 'lastId', string>) | undefined;
  };
  const known =
    place.ctid === null
      ? undefined
      : await read(alongSql('$1::text', '$4', '$5'), [
          qualified(schema, 'consumer_progress'),
          [place.ctid],
        ]);
  const row = known ?? (await read('consumer_id = $1', []));
  place.ctid = row?.ctid ?? null;
  if (!row) return null;
  const given = { server: row.server, lastId: safeId(row.lastId) };
  return { position: toPosition(row), given };
}

/**
 * Saves the position; the caller has to hold the lock. Bounds that are not known yet are added by
 * the next holder.
 */
export async function saveSharedPosition(
  client: ClientBase,
  schema: string,
  consumerId: string,
  { doneId, doneSnapshot, doneXid, window }: Position,
  place: RowPlace = { ctid: null },
): Promise<void> {
  const { rows } = await client.query(
    `update ${qualified(schema, 'consumer_progress')}
     set done_id = $2, done_snapshot = $3, done_xid = $4, window_snapshot = $5, window_end = $6,
       window_id = $7, window_xid = $8, saved_at = now()
     where consumer_id = $1 ${place.ctid === null ? '' : 'and ctid = $9::tid'}
     returning ctid::text`,
    [
      consumerId,
      doneId,
      doneSnapshot,
      doneXid,
      window?.snapshot ?? null,
      window?.endId ?? null,
      window?.id ?? null,
      window?.xid ?? null,
      ...(place.ctid === null ? [] : [place.ctid]),
    ],
  );
  const [row] = rows as { ctid: string }[];
  const wasKnown = place.ctid !== null;
  place.ctid = row?.ctid ?? null;
  // The row was changed after it was read, by a session that does not take the lock.
  if (!row && wasKnown) {
    await saveSharedPosition(client, schema, consumerId, { doneId, doneSnapshot, doneXid, window });
  }
}
