import type { ClientBase, QueryConfig } from 'pg';
import { qualified, statementName } from '../../database/names.ts';
import { STANDSTILL_MAX } from '../../database/transaction.ts';
import type { Position, Xid } from './position.ts';
import type { Claim } from './progress.ts';
import { alongSql } from './row-place.ts';
import { CLAIMED_ON } from './server-sql.ts';

/** A position to save, and the claim to save it. */
export type PositionSave = Claim & { position: Position };

/**
 * Where consumers' rows were when this process last saved them. While a session holds a snapshot,
 * vacuum removes none of the versions written since, and an index scan would visit all of them.
 */
export type RowPlaces = Map<string, string>;

/**
 * Saves positions of owned consumers, all in one statement; for shared ones see
 * leases/shared-position.ts. By default the commit is asynchronous: if the server
 * crashes, the notifications of the last moments are delivered again, which at-least-once allows.
 * @param options.isDurable waits for the disk as usual, for commits of more than positions
 * @param options.places kept from one save to the next
 * @returns the consumers whose position was saved (not those of a past owner or a past server), and
 *   the xid of the saving transaction
 */
export async function savePositions(
  client: ClientBase,
  schema: string,
  saves: readonly PositionSave[],
  { isDurable = false, places = new Map() }: { isDurable?: boolean; places?: RowPlaces } = {},
): Promise<{ savedIds: Set<string>; xid: Xid | null }> {
  const known = saves.flatMap(({ consumerId }) => places.get(consumerId) ?? []);
  const relation = qualified(schema, 'consumer_progress');
  let saved: Saved[] = [];
  if (known.length === saves.length) {
    const text = savePositionsSql(schema, {
      isDurable,
      isAt: alongSql('save.consumer_id', '$11', '$12'),
    });
    // Not prepared, so it is planned each time for the current size of the table.
    saved = await save(client, { text, values: [...valuesOf(saves), relation, known] });
  }
  // Unless each row was in its known place, all are saved again, with one xid.
  if (saved.length < saves.length) {
    const text = savePositionsSql(schema, {
      isDurable,
      isAt: 'progress.consumer_id = save.consumer_id',
    });
    const name = statementName('save', text);
    saved = await save(client, { name, text, values: valuesOf(saves) });
  }
  for (const { consumerId } of saves) places.delete(consumerId);
  for (const { consumer_id: consumerId, place } of saved) places.set(consumerId, place);
  return { savedIds: new Set(saved.map((row) => row.consumer_id)), xid: saved[0]?.xid ?? null };
}

type Saved = { consumer_id: string; xid: Xid; place: string };

async function save(client: ClientBase, statement: QueryConfig): Promise<Saved[]> {
  const { rows } = await client.query(statement);
  return rows as Saved[];
}

function valuesOf(saves: readonly PositionSave[]): unknown[] {
  const column = (value: (save: PositionSave) => unknown) => saves.map(value);
  return [
    column(({ consumerId }) => consumerId),
    column(({ epoch }) => epoch),
    column(({ position }) => position.doneId),
    column(({ position }) => position.doneSnapshot),
    // Not null: a session with array_nulls off, as a handler may have set it, would read it as a
    // text.
    column(({ position }) => position.doneXid ?? ''),
    column(({ position }) => position.window?.snapshot ?? ''),
    column(({ position }) => position.window?.endId ?? ''),
    column(({ position }) => position.window?.id ?? ''),
    column(({ position }) => position.window?.xid ?? ''),
    column(({ server }) => server),
  ];
}

function savePositionsSql(
  schema: string,
  { isDurable, isAt }: { isDurable: boolean; isAt: string },
): string {
  // Otherwise a process frozen before its commit would block a daemon that takes over.
  const commit = isDurable
    ? `set_config('idle_in_transaction_session_timeout', '${STANDSTILL_MAX}', true)`
    : "set_config('synchronous_commit', 'off', true)";
  return `
  with commit as (select ${commit})
  update ${qualified(schema, 'consumer_progress')} as progress
  set
    done_id = save.done_id,
    done_snapshot = save.done_snapshot::pg_snapshot,
    done_xid = coalesce(nullif(save.done_xid, '')::xid8, pg_current_xact_id()),
    window_snapshot = nullif(save.window_snapshot, '')::pg_snapshot,
    window_end = nullif(save.window_end, '')::bigint,
    window_id = nullif(save.window_id, '')::bigint,
    window_xid = case when save.window_snapshot <> ''
      then coalesce(nullif(save.window_xid, '')::xid8, pg_current_xact_id()) end,
    saved_at = now()
  from commit, unnest(
    $1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::text[]
  ) as save (consumer_id, epoch, done_id, done_snapshot, done_xid, window_snapshot, window_end,
    window_id, window_xid, server)
  where progress.epoch = save.epoch
    and save.server = ${CLAIMED_ON} and ${isAt}
  returning progress.consumer_id, progress.ctid::text as place, pg_current_xact_id()::text as xid`;
}
