import type { ClientBase } from 'pg';
import type { Consumer } from '../../consumers/define.ts';
import { STANDSTILL_MAX, settingsSql, withTransaction } from '../../database/transaction.ts';
import { takeBackAttempts } from '../../log/deliveries/attempts.ts';
import {
  readStanding,
  type StandingDeliveries,
  suspectAll,
} from '../../log/deliveries/standing.ts';
import { absorbLeases } from '../../log/leases/settle.ts';
import { readNewestPosition } from '../../log/positions/beginning.ts';
import { readAliveUntil } from '../../log/positions/daemons.ts';
import type { Position } from '../../log/positions/position.ts';
import { noteOrder, type Takeover, takeOver } from '../../log/positions/progress.ts';
import type { RecordedCall } from '../calls/suspicions.ts';

/** What the new owner of a consumer begins with. */
export type OwnedConsumer = Takeover & {
  standing: StandingDeliveries;
  /** True where the owner before did not stop cleanly: it may have died over a notification. */
  isSuspect: boolean;
  /** When the owner before was dead at the latest; null where that is not known. */
  diedBefore: Date | null;
  /** The newest position at that time: up to there the consumer is catching up. */
  newest: Position;
};

export type TakeoverClaim = {
  daemonId: string;
  /** As in takeOver. */
  seenEpoch: number;
  /** True where an earlier takeover of this daemon may have been committed, and nobody knows. */
  isDoubted: boolean;
  /** Calls that were recorded and are to count for nothing. */
  excused: readonly RecordedCall[];
};

/**
 * Takes a consumer over, with all that it has standing: where that is much, it takes its time.
 * @returns null where another process was faster
 * @throws lockNotAvailable where somebody has locked what it has standing
 */
export async function takeConsumer(
  client: ClientBase,
  schema: string,
  { id: consumerId, channels, order }: Consumer,
  { daemonId, seenEpoch, isDoubted, excused }: TakeoverClaim,
): Promise<OwnedConsumer | null> {
  const claim = { consumerId, channels, owner: daemonId, seenEpoch };
  // In one transaction: for who has become the owner, there is no owner before that may have died.
  const work = async (): Promise<OwnedConsumer | null> => {
    await client.query(settingsSql(SETTINGS, 'transaction'));
    const taken = await takeOver(client, schema, claim);
    if (!taken) return null;
    const isSuspect =
      taken.previousOwner !== null && (taken.previousOwner !== daemonId || isDoubted);
    const calls = new Map(excused.map(({ id, attempt }) => [id, attempt]));
    await takeBackAttempts(client, schema, consumerId, calls);
    if (isSuspect) await suspectAll(client, schema, consumerId);
    const diedBefore = await readAliveUntil(client, schema, taken.previousOwner);
    // Where it was shared until now, what others still work on comes again.
    await absorbLeases(client, schema, consumerId);
    const scope = { consumerId, isOrdered: order === 'key' };
    await noteOrder(client, schema, scope);
    const standing = await readStanding(client, schema, scope);
    // After it, not with it: an earlier owner's last save must not be newer.
    const newest = await readNewestPosition(client, schema);
    return { ...taken, standing, isSuspect, diedBefore, newest };
  };
  return withTransaction(client, work);
}

/**
 * Who stands still in the middle of it must not keep the others from it, nor be kept by one who
 * does.
 */
const SETTINGS = { idle_in_transaction_session_timeout: STANDSTILL_MAX, lock_timeout: '1s' };
