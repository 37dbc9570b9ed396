import { randomUUID } from 'node:crypto';
import type { PoolClient } from 'pg';
import { TimeoutError } from '../../../consumers/call.ts';
import { type Ended, failureOf, type Outcome } from '../../../consumers/outcome.ts';
import { cleanSession } from '../../../database/clean-session.ts';
import { isStatementError } from '../../../database/connect.ts';
import { isPassing } from '../../../database/passing.ts';
import type { StandstillGuard } from '../../../database/standstill.ts';
import { withinScope } from '../../../database/transaction-scope.ts';
import { PgwatchError } from '../../../errors.ts';
import { type Calling, callTasks, conclude } from '../calling.ts';
import type { FailingKeys } from '../failing-keys.ts';
import { blocked, type Settled, type Task } from '../task.ts';
import { TransactionDatabase } from './database.ts';
import type { TransactionProgress } from './loss.ts';

export type CallsOptions = {
  client: PoolClient;
  /** True if the session belongs to a program. */
  isBorrowed: boolean;
  /** Stopped while the handler is called, which may take long. */
  guard: StandstillGuard;
  calling: Calling;
  failing: FailingKeys;
  /** Updated with each call, to find out later which one lost the transaction. */
  progress: TransactionProgress;
  /** What the transaction settles besides: notifications after a failure in it wait too. */
  earlier: readonly Settled[];
  /** How long the server lets the transaction stay idle. */
  idleMs: number;
  /** True if nothing more must be called. */
  isStopping(): boolean;
  /** Called if a handler writes over another pgwatch connection. */
  onOutside(): void;
};

/**
 * The handler has not returned and may still use the connection, so nothing can be settled over it.
 * `settled` is null if the daemon is only stopping, and for several tasks that were called
 * together: they are called again one by one, to find the one that hangs.
 */
export class CallBroken extends Error {
  readonly settled: Settled | null;
  readonly isTogether: boolean;

  constructor(settled: Settled | null, isTogether = false) {
    super('the handler did not return');
    this.settled = settled;
    this.isTogether = isTogether;
  }
}

/**
 * Calls the handler for each task within the client's transaction, with a savepoint, so that a
 * failure undoes only its own effects.
 * @returns the outcome of each task called or blocked; it ends at a dead letter that stops the
 *   consumer
 * @throws CallBroken, and errors of the connection
 */
export async function callInTransaction(given: CallsOptions, tasks: Task[]): Promise<Settled[]> {
  const options: Calls = { ...given, savepoint: undefined, hasNext: () => false };
  const { batchSize, onDead } = options.calling.consumer;
  const settled: Settled[] = [];
  const mustStop = () =>
    options.isStopping() ||
    (onDead === 'stop' && settled.some(({ change }) => change?.state === 'dead'));
  for (let index = 0; index < tasks.length && !mustStop(); ) {
    const rest = tasks.slice(index, index + (batchSize ?? tasks.length));
    // Retries are called alone.
    const nextFiled = rest.findIndex(({ isFiled }) => isFiled);
    const batch = nextFiled < 0 ? rest : rest.slice(0, Math.max(1, nextFiled));
    index += batch.length;
    options.hasNext = () => index < tasks.length && !mustStop();
    const called = batch.length > 1 ? await callTogether(options, batch, settled) : null;
    if (called) settled.push(...called);
    else {
      for (const [place, task] of batch.entries()) {
        options.hasNext = () => index - batch.length + place + 1 < tasks.length && !mustStop();
        if (!mustStop()) settled.push(await callAlone(options, task, settled));
      }
    }
  }
  // Left if the tasks that were to be called next had to wait.
  const { client, savepoint } = options;
  if (savepoint) await client.query(`release savepoint ${savepoint}`);
  return settled;
}

type Calls = CallsOptions & {
  /**
   * The savepoint of the next call, if it was set in the round trip that ended the previous one.
   */
  savepoint: string | undefined;
  /** True if another call is likely to follow. */
  hasNext(): boolean;
};

/** Null if not all succeeded: everything is undone and will be called one by one. */
async function callTogether(
  options: Calls,
  batch: Task[],
  settled: readonly Settled[],
): Promise<Settled[] | null> {
  const { calling } = options;
  const waiting = new Set(batch.filter((task) => mustWait(options, task, settled)));
  const ready = batch.filter((task) => !waiting.has(task));
  const outcomes = ready.length > 0 ? await callWithSavepoint(options, ready) : [];
  if (!outcomes.every(({ type }) => type === 'done')) return null;
  return batch.map((task) =>
    waiting.has(task) ? blocked(task) : { task, change: conclude(calling, task, { type: 'done' }) },
  );
}

async function callAlone(
  options: Calls,
  task: Task,
  settled: readonly Settled[],
): Promise<Settled> {
  if (mustWait(options, task, settled)) return blocked(task);
  const [outcome] = await callWithSavepoint(options, [task]);
  return { task, change: conclude(options.calling, task, outcome as Ended) };
}

/** True if an earlier notification of its key fails, in this transaction or before it. */
function mustWait(
  { calling, failing, earlier }: CallsOptions,
  { key, isFiled, chain }: Task,
  settled: readonly Settled[],
): boolean {
  if (isFiled) return chain?.isBroken ?? false;
  if (calling.consumer.order !== 'key' || key === null) return false;
  return (
    failing.has(key) ||
    [...earlier, ...settled].some(({ change }) => change?.key === key && change.state === 'retry')
  );
}

function swallowed(cause: Error): PgwatchError {
  return new PgwatchError(
    'handler_failed',
    'A statement of the handler failed, and the handler continued; everything that it wrote is ' +
      'undone. Do not catch the error, or roll back to a savepoint.',
    { cause },
  );
}

type Finished = Exclude<Outcome, { type: 'abandoned' }>;

/** Outcomes of a call whose effects are kept only if all are done. */
async function callWithSavepoint(options: Calls, tasks: Task[]): Promise<Finished[]> {
  const { client, guard, calling, progress, onOutside } = options;
  guard.start();
  const savepoint = options.savepoint ?? newSavepoint();
  if (savepoint !== options.savepoint) await client.query(`savepoint ${savepoint}`);
  options.savepoint = undefined;
  const db = new TransactionDatabase(client);
  const scope = {
    owns: (connection: unknown) => connection === client || db.isSame(connection),
    onOutside,
  };
  guard.stop();
  progress.called = tasks;
  const outcomes = await withinScope(scope, () =>
    callTasks(calling, tasks, { ...calling.tools, makeDb: () => db }),
  );
  db.close();
  progress.failure = db.failure;
  guard.start();
  const finished = outcomes.filter((outcome): outcome is Finished => outcome.type !== 'abandoned');
  if (finished.length < tasks.length) throw new CallBroken(null);
  const late = finished.find((o) => o.type === 'failed' && o.error instanceof TimeoutError);
  if (late && tasks.length > 1) throw new CallBroken(null, true);
  if (late) {
    const [task] = tasks as [Task];
    throw new CallBroken({ task, change: conclude(calling, task, late as Ended) });
  }
  const released = await release(options, finished, { db, savepoint });
  progress.called = [];
  progress.calledBefore += 1;
  return released;
}

/**
 * Ends the call's savepoint and cleans the session for the next call and for settling this one.
 * Sets the savepoint of the next call in the same round trip, which saves more than cleaning costs.
 */
async function release(
  options: Calls,
  outcomes: Finished[],
  { db, savepoint }: { db: TransactionDatabase; savepoint: string },
): Promise<Finished[]> {
  const { client, idleMs, hasNext } = options;
  const idle = `set local idle_in_transaction_session_timeout = ${idleMs}`;
  const end = async (isNext: boolean) => {
    const next = isNext ? newSavepoint() : undefined;
    const over = `release savepoint ${savepoint}${next ? `; savepoint ${next}` : ''}`;
    if (db.isUsed) {
      const after = `${idle}; ${over}`;
      const { mayHavePrepared } = db;
      await cleanSession(client, { mayHavePrepared, isBorrowed: options.isBorrowed, after });
    } else {
      await client.query(over);
    }
    options.savepoint = next;
  };
  if (outcomes.every(({ type }) => type === 'done')) {
    try {
      await end(hasNext());
      return outcomes;
    } catch (thrown) {
      if (!isStatementError(thrown) || isPassing(thrown)) throw thrown;
      outcomes.fill(failureOf(db.failure ? swallowed(db.failure) : thrown) as Finished);
    }
  }
  await client.query(`rollback to savepoint ${savepoint}`);
  // Several tasks are each called again, alone.
  await end(outcomes.length > 1 || hasNext());
  return outcomes;
}

/** A name that no handler can guess: a savepoint with the same name would hide this one. */
function newSavepoint(): string {
  return `pgwatch_call_${randomUUID().replaceAll('-', '')}`;
}
