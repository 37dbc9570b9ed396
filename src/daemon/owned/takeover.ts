import type { ClientBase } from 'pg';
import type { Consumer } from '../../consumers/define.ts';
import { STANDSTILL_MAX, settingsSql, withTransaction } from '../../database/transaction.ts';
import { takeBackAttempts } from '../../log/deliveries/attempts.ts';
import {
  readStanding,
  type StandingDeliveries,
  suspectAll,
} from '../../log/deliveries/standing.ts';
import { inheritDeliveries } from '../../log/leases/inherit.ts';
import { lockLeases } from '../../log/leases/lock-leases.ts';
import { absorbLeases } from '../../log/leases/settle.ts';
import { skipToNewest } from '../../log/leases/skip.ts';
import { readNewestPosition } from '../../log/positions/beginning.ts';
import { readAliveUntil } from '../../log/positions/daemons.ts';
import type { Position } from '../../log/positions/position.ts';
import { noteOrder, type Takeover, takeOver } from '../../log/positions/progress.ts';
import type { RecordedCall } from '../calls/suspicions.ts';

/** What the new owner of a consumer starts with. */
export type OwnedConsumer = Takeover & {
  standing: StandingDeliveries;
  /** True if the previous owner did not stop cleanly: it may have died over a notification. */
  isSuspect: boolean;
  /** The latest time at which the previous owner can have died; null if unknown. */
  diedBefore: Date | null;
  /** The newest position at the takeover: the consumer is catching up until it gets there. */
  newest: Position;
};

export type TakeoverClaim = {
  daemonId: string;
  /** As in takeOver(). */
  seenEpoch: number;
  /**
   * True if an earlier takeover by this daemon may have been committed, but its answer was lost.
   */
  isDoubted: boolean;
  /** Recorded calls that must not count as attempts. */
  excused: readonly RecordedCall[];
  /** True if what the consumer has missed is to be skipped. */
  isSkipping: boolean;
};

/**
 * Takes a consumer over with all its pending deliveries; slow if there are many.
 * @returns null if another process was faster
 * @throws lockNotAvailable if another session has locked its deliveries
 */
export async function takeConsumer(
  client: ClientBase,
  schema: string,
  { id: consumerId, channels, order }: Consumer,
  { daemonId, seenEpoch, isDoubted, excused, isSkipping }: TakeoverClaim,
): Promise<OwnedConsumer | null> {
  const claim = { consumerId, channels, owner: daemonId, seenEpoch };
  // In one transaction: once this process owns the consumer, it no longer shows that a previous
  // owner may have died.
  const work = async (): Promise<OwnedConsumer | null> => {
    await client.query(settingsSql(SETTINGS, 'transaction'));
    const taken = await takeOver(client, schema, claim);
    if (!taken) return null;
    const isSuspect =
      taken.previousOwner !== null && (taken.previousOwner !== daemonId || isDoubted);
    // If it was shared until now. Before the deliveries, as every transaction locks them.
    await lockLeases(client, schema, consumerId);
    const calls = new Map(excused.map(({ id, attempt }) => [id, attempt]));
    await takeBackAttempts(client, schema, consumerId, calls);
    const scope = { consumerId, isOrdered: order === 'key' };
    // First: what is skipped must not be filed.
    const skipped = isSkipping ? await skipToNewest(client, schema, consumerId) : null;
    const inherited = await inheritDeliveries(client, schema, { ...scope, channels });
    if (isSuspect) await suspectAll(client, schema, consumerId);
    const diedBefore = await readAliveUntil(client, schema, taken.previousOwner);
    // If it was shared until now, notifications that other processes still work on are delivered
    // again.
    await absorbLeases(client, schema, consumerId);
    await noteOrder(client, schema, scope);
    const standing = await readStanding(client, schema, scope);
    // Read after the takeover: a previous owner's last save must not be newer.
    const newest = await readNewestPosition(client, schema);
    return {
      ...taken,
      position: inherited ?? skipped ?? taken.position,
      standing,
      isSuspect,
      diedBefore,
      newest,
    };
  };
  return withTransaction(client, work);
}

/**
 * A process that freezes in the middle of a takeover must not block other daemons, nor be blocked
 * by one.
 */
const SETTINGS = { idle_in_transaction_session_timeout: STANDSTILL_MAX, lock_timeout: '1s' };
