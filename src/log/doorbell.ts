import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';

/**
 * True if the server's lock table has room for a lock per name. Its size depends on the number
 * of connections; a session that fills it stops all others, even in other databases, from working.
 */
export async function mayArmDoorbell(
  client: Queryable,
  names: readonly string[],
): Promise<boolean> {
  if (names.length <= LOCKS_MIN) return true;
  const { rows } = await client.query<{ max: number }>(
    `select current_setting('max_locks_per_transaction')::integer as max`,
  );
  return names.length <= SHARES_MAX * (rows[0]?.max ?? 0);
}

/** Always allowed, however small the lock table is. */
const LOCKS_MIN = 10;
/** A daemon has one connection for locks, and others that need few. */
const SHARES_MAX = 4;

/**
 * Takes the shared lock of each name, which tells writers that a daemon is asleep and that they
 * have to ring. Never waits: if another session holds a lock exclusively, releases all of them.
 * @param names as made by doorbellNames()
 * @returns an xid above that of every transaction that may have found no daemon asleep: once all
 *   transactions below it have ended and been read, sleeping is safe. Null if the locks are not
 *   available.
 */
export async function armDoorbell(
  client: Queryable,
  schema: string,
  names: readonly string[],
): Promise<bigint | null> {
  const { rows } = await client.query(
    `select name, pg_try_advisory_lock_shared(
       ${qualified(schema, 'doorbell_class')}(), hashtext(name)) as is_held
     from unnest($1::text[]) as name`,
    [names],
  );
  const held = (rows as { name: string; is_held: boolean }[]).filter((row) => row.is_held);
  if (held.length < names.length) {
    await disarmDoorbell(
      client,
      schema,
      held.map((row) => row.name),
    );
    return null;
  }
  // A separate statement: the xid must be assigned after the locks are taken.
  const { rows: xids } = await client.query('select pg_current_xact_id()::text as xid');
  return BigInt((xids[0] as { xid: string }).xid);
}

/** Releases the locks; from now on writers do not ring. */
export async function disarmDoorbell(
  client: Queryable,
  schema: string,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return;
  await client.query(
    `select pg_advisory_unlock_shared(${qualified(schema, 'doorbell_class')}(), hashtext(name))
     from unnest($1::text[]) as name`,
    [names],
  );
}
