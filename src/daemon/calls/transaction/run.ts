import type { PoolClient } from 'pg';
import { cleanSession } from '../../../database/clean-session.ts';
import { destroySocket, isStatementError } from '../../../database/connect.ts';
import { isPassing, lossOf } from '../../../database/passing.ts';
import type { Pool } from '../../../database/pool.ts';
import { SQLSTATE } from '../../../database/sqlstate.ts';
import { StandstillGuard } from '../../../database/standstill.ts';
import { STANDSTILL_MAX } from '../../../database/transaction.ts';
import { endBackendOf, readTransaction } from '../../../database/transaction-state.ts';
import { withOwnTypes } from '../../../database/types.ts';
import { PgwatchError, toError } from '../../../errors.ts';
import { TIMER_MS_MAX, withDeadline } from '../../../time.ts';
import type { Account } from '../account.ts';
import type { Calling } from '../calling.ts';
import type { Settled, Task } from '../task.ts';
import { CallBroken, type CallsOptions, callInTransaction } from './call.ts';
import { type LossJudge, TransactionLost, type TransactionProgress } from './loss.ts';

export type TransactionOptions = {
  calling: Calling;
  account: Account;
  /** What handlers write with. */
  pool: Pool;
  judge: LossJudge;
};

type Stretch = {
  /** Settled before, and still to be saved. */
  earlier: readonly Settled[];
  /** True where no more is to be called. */
  isStopping(): boolean;
  /** Told where a handler writes over another connection of ours. */
  onOutside(): void;
};

/**
 * Calls the handler for tasks and settles them, in one transaction.
 * @returns what was settled; null where the consumer is not ours any longer
 * @throws CallBroken; TransactionLost, where it may have been committed if that was under way; or
 *   why it could not be committed: then nothing of it has happened
 */
export async function runTransaction(
  options: TransactionOptions,
  tasks: Task[],
  stretch: Stretch,
): Promise<{ settled: Settled[]; waitingKeys: string[] } | null> {
  const { calling, pool, account } = options;
  const progress: TransactionProgress = {
    called: [],
    calledBefore: 0,
    isBystander: false,
    committing: null,
  };
  try {
    return await pool.withClient(async (client) => {
      account.onBegin();
      const guard = new StandstillGuard(client, calling.answerMsMax);
      guard.start();
      const onNotice = ({ code }: { code: string | undefined }) => {
        progress.isBystander ||= ENDS_ALL.has(code ?? '');
      };
      const onError = (error: Error) => {
        // Later ones only say that the connection has ended.
        progress.ending ??= error;
      };
      client.on('notice', onNotice).on('error', onError);
      try {
        await client.query('begin');
        return await callAndSettle({ ...options, ...stretch, client, guard, progress }, tasks);
      } catch (thrown) {
        const failure = thrown instanceof CallBroken ? thrown : lossOf(client, thrown);
        if (isPassing(failure) && !isStatementError(failure)) pool.explainLoss(client);
        // Behind a query that hangs a rollback would hang too; the connection is cut instead.
        if (!(failure instanceof CallBroken)) {
          const cleaning = cleanSession(client, { mayHavePrepared: true, before: 'rollback' });
          await cleaning.catch(() => destroySocket(client));
        }
        throw failure;
      } finally {
        client.off('notice', onNotice).off('error', onError);
        guard.stop();
      }
    });
  } catch (thrown) {
    if (isPassing(thrown)) throw new TransactionLost(toError(thrown), progress);
    if (!isStatementError(thrown)) await endTransaction(pool, progress);
    throw thrown;
  }
}

async function callAndSettle(
  options: TransactionOptions & Stretch & Pick<CallsOptions, 'client' | 'guard' | 'progress'>,
  tasks: Task[],
) {
  const { client, earlier, progress, account } = options;
  const { consumer, answerMsMax } = options.calling;
  // Handlers have the user's types.
  const own = withOwnTypes(client);
  // The server gives up a process that it does not hear of any more: its locks would stay with it.
  const idleMs = Math.min(consumer.timeoutMs + answerMsMax, TIMER_MS_MAX);
  const transaction = await readTransaction(own, String(idleMs));
  Object.assign(progress, transaction);
  const settled = [
    ...earlier,
    ...(await callInTransaction({ ...options, failing: account.failing, idleMs }, tasks)),
  ];
  options.guard.start();
  await requireSameTransaction(own, transaction.xid);
  const waitingKeys = await account.settleIn(own, settled);
  if (waitingKeys === null) {
    await client.query('rollback');
    return null;
  }
  progress.committing = { settled, waitingKeys };
  await client.query('commit');
  return progress.committing;
}

/**
 * The handlers are through; should the process stand still from now on, it would keep what it
 * settles from whoever takes over.
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

/**
 * Ends what the server still does for a call that was given up, or believes of a connection that
 * was cut: it would hold its locks against the next attempt.
 */
export async function endTransaction(
  pool: Pool,
  transaction: Pick<TransactionProgress, 'pid' | 'xid'>,
): Promise<void> {
  if (transaction.pid === undefined) return;
  const ending = pool.withClient((client) => endBackendOf(client, transaction));
  await withDeadline(ending, END_MS_MAX, () => new Error('no answer')).catch(() => {});
}

const END_MS_MAX = 2000;
/** What the server says, as a notice, to those whose connections it ends for another's sake. */
const ENDS_ALL: ReadonlySet<string> = new Set([SQLSTATE.crashShutdown, SQLSTATE.adminShutdown]);
