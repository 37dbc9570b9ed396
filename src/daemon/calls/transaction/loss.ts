import { isStatementError } from '../../../database/connect.ts';
import type { Clients, Pool } from '../../../database/pool.ts';
import { SQLSTATE } from '../../../database/sqlstate.ts';
import { readTransactionState } from '../../../database/transaction-state.ts';
import { errorCodeOf } from '../../../errors.ts';
import type { Suspicions } from '../suspicions.ts';
import type { Settled, Task } from '../task.ts';

/** The progress of a transaction that calls handlers. */
export type TransactionProgress = {
  pid?: number;
  xid?: string;
  /** The tasks being called; empty between calls. */
  called: readonly Task[];
  /** How many calls of the transaction are over. */
  calledBefore: number;
  /** The server's error when it ended the connection. */
  ending?: Error;
  /** The last error of the handler's own statements. */
  failure?: Error | undefined;
  /** True once the server has announced that it ends all its connections. */
  isBystander: boolean;
  /** Set when the commit begins: what it saves. */
  committing: { settled: Settled[]; waitingKeys: string[] } | null;
};

/**
 * A transaction that ended for another reason than an error of a handler: its connection was lost,
 * or it was killed.
 */
export class TransactionLost extends Error {
  readonly failure: Error;
  readonly progress: TransactionProgress;

  constructor(failure: Error, progress: TransactionProgress) {
    super(failure.message, { cause: failure });
    this.failure = failure;
    this.progress = progress;
  }
}

export type JudgeOptions = {
  pool: Clients & {
    /** Waits before another attempt. @throws the failure once the session is over */
    pause(failure: Error, trial: { failures: number; startedAt: number }): Promise<void>;
  };
  handlerPool: Pool;
  /** The connection that the session lives and dies with. */
  control: { isAlive(): Promise<boolean>; readonly hasCrashed: boolean };
  suspicions: Suspicions;
};

/**
 * What became of a lost transaction: it was committed, or it was undone by the running call, by
 * something else that hit many connections at once, or for an unknown reason.
 */
export type Verdict = 'committed' | 'the call' | 'others' | 'unknown';

/**
 * Finds out what became of a lost transaction, and what is to blame. The evidence: whether the
 * control connection is alive, whether other connections were lost at that moment, and what the
 * server has announced.
 */
export class LossJudge {
  readonly #options: JudgeOptions;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** @throws the failure if the session is over */
  async judge(consumerId: string, lost: TransactionLost): Promise<Verdict> {
    const { control, pool } = this.#options;
    const { failure, progress } = lost;
    if (!(await control.isAlive())) {
      this.#noteCrash(consumerId, progress);
      throw failure;
    }
    const { pid, xid } = progress;
    if (pid === undefined || xid === undefined) return 'others';
    const state = await pool.withClient((client) => readTransactionState(client, { pid, xid }));
    if (state === 'in progress') throw failure;
    return state === 'committed' ? 'committed' : this.#blame(lost);
  }

  /** Waits before it is tried again. @throws the failure if the session is over */
  async pause(failure: Error, trial: { failures: number; startedAt: number }): Promise<void> {
    await this.#options.pool.pause(failure, trial);
  }

  #blame(lost: TransactionLost): Verdict {
    const { called, calledBefore, isBystander } = lost.progress;
    const { handlerPool, pool } = this.#options;
    const losses = handlerPool.lossesWithin(AT_ONCE_MS) + pool.lossesWithin(AT_ONCE_MS);
    if (isBystander || losses > 0) return 'others';
    if (called.length === 0 || isStatementError(lost.failure)) return 'unknown';
    // transaction_timeout has also counted the time of the earlier calls.
    const isOfAll = errorCodeOf(reasonOf(lost)) === SQLSTATE.transactionTimeout;
    return isOfAll && calledBefore > 0 ? 'unknown' : 'the call';
  }

  /**
   * A crashing server process takes all connections with it. The server announces that to all
   * clients except that process's own.
   */
  #noteCrash(consumerId: string, { called, isBystander }: TransactionProgress): void {
    const { control, suspicions } = this.#options;
    const isSuspect = control.hasCrashed && !isBystander;
    const recorded = called.filter((task) => task.isRecorded);
    const others = called.filter((task) => !task.isRecorded);
    if (isSuspect)
      suspicions.suspect(
        consumerId,
        others.map(({ id }) => id),
      );
    else suspicions.excuse(consumerId, recorded);
  }
}

/** The most specific error that explains the loss. */
export function reasonOf({ failure, progress }: TransactionLost): Error {
  return progress.ending ?? progress.failure ?? failure;
}

/** Connections lost within this time are taken to be lost for the same reason. */
const AT_ONCE_MS = 500;
