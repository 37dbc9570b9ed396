import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';

/**
 * True where there is a lock for each channel. The server's table of locks has room for a number of
 * locks for each connection: who takes all of it keeps the others, and other databases, from
 * working at all.
 */
export async function mayArmDoorbell(
  client: Queryable,
  channels: readonly string[],
): Promise<boolean> {
  if (channels.length <= LOCKS_MIN) return true;
  const { rows } = await client.query<{ max: number }>(
    `select current_setting('max_locks_per_transaction')::integer as max`,
  );
  return channels.length <= SHARES_MAX * (rows[0]?.max ?? 0);
}

/** However small the table is. */
const LOCKS_MIN = 10;
/** A daemon has a connection for locks, and others that need few. */
const SHARES_MAX = 4;

/**
 * Takes the shared lock of each channel, which tells writers that somebody sleeps and must be rung
 * for. Never waits: where somebody holds one exclusively, all are given back.
 * @returns an xid above that of every transaction that may have found nobody asleep: once all below
 *   it have ended and were read, sleeping is safe. Null where the locks are not to be had.
 */
export async function armDoorbell(
  client: Queryable,
  schema: string,
  channels: readonly string[],
): Promise<bigint | null> {
  const { rows } = await client.query(
    `select channel, pg_try_advisory_lock_shared(${qualified(schema, 'doorbell_class')}(), hashtext(channel)) as is_held
     from unnest($1::text[]) as channel`,
    [channels],
  );
  const held = (rows as { channel: string; is_held: boolean }[]).filter((row) => row.is_held);
  if (held.length < channels.length) {
    await disarmDoorbell(
      client,
      schema,
      held.map((row) => row.channel),
    );
    return null;
  }
  // In a statement of its own: the xid must be taken after the locks.
  const { rows: xids } = await client.query('select pg_current_xact_id()::text as xid');
  return BigInt((xids[0] as { xid: string }).xid);
}

/** Gives the locks back: from now on writers do not ring. */
export async function disarmDoorbell(
  client: Queryable,
  schema: string,
  channels: readonly string[],
): Promise<void> {
  if (channels.length === 0) return;
  await client.query(
    `select pg_advisory_unlock_shared(${qualified(schema, 'doorbell_class')}(), hashtext(channel))
     from unnest($1::text[]) as channel`,
    [channels],
  );
}
