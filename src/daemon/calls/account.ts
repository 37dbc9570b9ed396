import type { PoolClient } from 'pg';
import type { Pool } from '../../database/pool.ts';
import { STANDSTILL_MAX } from '../../database/transaction.ts';
import { readTransaction } from '../../database/transaction-state.ts';
import { withOwnTypes } from '../../database/types.ts';
import { PgwatchError } from '../../errors.ts';
import type { DeliveryChange } from '../../log/deliveries/delivery.ts';
import type { Calling } from './calling.ts';
import type { FailingKeys } from './failing-keys.ts';
import { Lanes } from './lanes.ts';
import type { Place, Settled } from './task.ts';
import { TransactionLane } from './transaction/lane.ts';
import type { LossJudge } from './transaction/loss.ts';
import type { Workers } from './workers.ts';

/** Keeps the account of what the workers do, and settles it. */
export interface Account {
  readonly failing: FailingKeys;
  /** The task is through; the account sees to it that this is saved. */
  settle(task: Place, change: DeliveryChange | null): void;
  /** A transaction is about to begin: it may settle what was read until now. */
  onBegin?(): void;
  /**
   * Settles tasks in a transaction.
   * @returns the keys that still have a notification waiting; null where they are not ours any longer
   */
  settleIn(client: PoolClient, settled: readonly Settled[]): Promise<string[] | null>;
  /** That transaction has committed. */
  onCommitted(settled: readonly Settled[], waitingKeys: readonly string[]): void;
  /** What the tasks belong to is another process's by now. */
  onFenced(): void;
  /** The workers have ended for good; untilIdle() tells why. */
  onFailed(): void;
}

/** The workers that a consumer asks for. */
export function workersFor(
  { calling, handlerPool, judge }: { calling: Calling; handlerPool: Pool; judge: LossJudge },
  account: Account,
): Workers {
  if (!calling.consumer.isTransactional) {
    return new Lanes(calling, account.failing, (task, change) => account.settle(task, change));
  }
  return new TransactionLane({
    calling,
    failing: account.failing,
    pool: handlerPool,
    judge,
    async settleIn(client, settled, beganAt) {
      // Handlers have the user's types.
      const own = withOwnTypes(client);
      await requireSameTransaction(own, beganAt);
      return account.settleIn(own, settled);
    },
    onBegin: () => account.onBegin?.(),
    onCommitted: (settled, waitingKeys) => account.onCommitted(settled, waitingKeys),
    onFenced: () => account.onFenced(),
    onFailed: () => account.onFailed(),
  });
}

/**
 * The handlers are through; should the process stand still from now on, it would keep what it settles
 * from whoever takes over.
 * @throws PgwatchError handler_failed where a handler has ended the transaction that it was given
 */
async function requireSameTransaction(client: PoolClient, beganAt: string): Promise<void> {
  const { xid } = await readTransaction(client, STANDSTILL_MAX);
  if (xid === beganAt) return;
  throw new PgwatchError(
    'handler_failed',
    'The handler has ended the transaction of context.db: that commits once it has returned, together with the position.',
  );
}
