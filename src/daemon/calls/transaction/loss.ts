import { isStatementError } from '../../../database/connect.ts';
import type { Clients, Pool } from '../../../database/pool.ts';
import { SQLSTATE } from '../../../database/sqlstate.ts';
import { readTransactionState } from '../../../database/transaction-state.ts';
import { errorCodeOf } from '../../../errors.ts';
import type { Suspicions } from '../suspicions.ts';
import type { Settled, Task } from '../task.ts';

/** How far a transaction of handlers has got. */
export type TransactionProgress = {
  pid?: number;
  xid?: string;
  /** What is being called; empty in between. */
  called: readonly Task[];
  /** How many calls were over before. */
  calledBefore: number;
  /** What the server has said when it ended the connection. */
  ending?: Error;
  /** The last error of the handler's own statements. */
  failure?: Error | undefined;
  /** True once the server has said that it ends all its connections. */
  isBystander: boolean;
  /** What is about to be committed. */
  committing: { settled: Settled[]; waitingKeys: string[] } | null;
};

/**
 * A transaction was ended, and not by what a handler threw: its connection was lost, or it was
 * killed.
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
    /** Waits before something is tried again. @throws the failure once the session is over */
    pause(failure: Error, trial: { failures: number; startedAt: number }): Promise<void>;
  };
  handlerPool: Pool;
  /** The connection that the session lives and dies with. */
  control: { isAlive(): Promise<boolean>; readonly hasCrashed: boolean };
  suspicions: Suspicions;
};

/**
 * What became of it. Where it is undone, by what: the call that was under way, something else that
 * happened to many connections at once, or nobody knows.
 */
export type Verdict = 'committed' | 'the call' | 'others' | 'unknown';

/**
 * Finds out what became of a transaction that was lost, and who is to blame. The evidence: whether
 * the control connection lives, whether other connections were lost at that moment, and what the
 * server has said.
 */
export class LossJudge {
  readonly #options: JudgeOptions;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** @throws the failure where the session is over */
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

  /** Waits before it is tried again. @throws the failure where the session is over */
  async pause(failure: Error, trial: { failures: number; startedAt: number }): Promise<void> {
    await this.#options.pool.pause(failure, trial);
  }

  #blame(lost: TransactionLost): Verdict {
    const { called, calledBefore, isBystander } = lost.progress;
    const { handlerPool, pool } = this.#options;
    const losses = handlerPool.lossesWithin(AT_ONCE_MS) + pool.lossesWithin(AT_ONCE_MS);
    if (isBystander || losses > 0) return 'others';
    if (called.length === 0 || isStatementError(lost.failure)) return 'unknown';
    // The time of the calls before it has counted, too.
    const isOfAll = errorCodeOf(reasonOf(lost)) === SQLSTATE.transactionTimeout;
    return isOfAll && calledBefore > 0 ? 'unknown' : 'the call';
  }

  /**
   * A process of the server that crashes takes all connections with it. It says so to all but that
   * process's own client.
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

/** Why it was lost, in the words that say most. */
export function reasonOf({ failure, progress }: TransactionLost): Error {
  return progress.ending ?? progress.failure ?? failure;
}

/** Connections that are lost within so long are lost for one reason. */
const AT_ONCE_MS = 500;
