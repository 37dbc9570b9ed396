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
  /** What context.db of handlers uses. */
  pool: Pool;
  judge: LossJudge;
};

type Stretch = {
  /** Settled earlier, and not saved yet. */
  earlier: readonly Settled[];
  /** True if nothing more must be called. */
  isStopping(): boolean;
  /** Called if a handler writes over another pgwatch connection. */
  onOutside(): void;
};

/**
 * Calls the handler for tasks and settles them, in one transaction.
 * @returns what was settled; null if the consumer now belongs to another process
 * @throws CallBroken; TransactionLost, after which it may have been committed if the commit had
 *   begun; or the reason why it could not be committed, in which case nothing of it has happened
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
        // Later errors only say that the connection has ended.
        progress.ending ??= error;
      };
      client.on('notice', onNotice).on('error', onError);
      try {
        await client.query('begin');
        return await callAndSettle({ ...options, ...stretch, client, guard, progress }, tasks);
      } catch (thrown) {
        const failure = thrown instanceof CallBroken ? thrown : lossOf(client, thrown);
        if (isPassing(failure) && !isStatementError(failure)) pool.explainLoss(client);
        // A rollback after a query that hangs would hang too; the connection is cut instead.
        if (!(failure instanceof CallBroken)) {
          const { isBorrowed } = pool;
          const how = { mayHavePrepared: true, isBorrowed, before: 'rollback' };
          const cleaning = cleanSession(client, how);
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
  // Handlers use the user's types; these statements use pgwatch's own.
  const own = withOwnTypes(client);
  // The server ends the session of a process that falls silent; otherwise its locks would remain.
  const idleMs = Math.min(consumer.timeoutMs + answerMsMax, TIMER_MS_MAX);
  const { pid, xid, role } = await readTransaction(own, { idleMax: String(idleMs) });
  Object.assign(progress, { pid, xid });
  const settled = [
    ...earlier,
    ...(await callInTransaction(
      { ...options, isBorrowed: options.pool.isBorrowed, failing: account.failing, idleMs },
      tasks,
    )),
  ];
  options.guard.start();
  await requireSameTransaction(own, { xid, role });
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
 * Checks that the handlers have not ended the transaction, and goes back to the role that it began
 * with: a handler may have set one that must not write positions. Shortens the idle timeout, too: a
 * process that freezes from now on would block the next owner with what it settles.
 * @throws PgwatchError handler_failed if a handler has ended its transaction
 */
async function requireSameTransaction(
  client: PoolClient,
  began: { xid: string; role: string },
): Promise<void> {
  const { xid } = await readTransaction(client, { idleMax: STANDSTILL_MAX, role: began.role });
  if (xid === began.xid) return;
  throw new PgwatchError(
    'handler_failed',
    'The handler ended the transaction of context.db. Leave it open: pgwatch commits it, with ' +
      'the position, after the handler returns.',
  );
}

/**
 * Ends the server process of an abandoned call or a cut connection: it would hold its locks against
 * the next attempt.
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
/**
 * The codes of the notices that the server sends when it ends connections because of another
 * process.
 */
const ENDS_ALL: ReadonlySet<string> = new Set([SQLSTATE.crashShutdown, SQLSTATE.adminShutdown]);
