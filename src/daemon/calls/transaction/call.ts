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
  /** Stopped while the handler is called: that may take its time. */
  guard: StandstillGuard;
  calling: Calling;
  failing: FailingKeys;
  /** Told of each call, for whoever asks over which the transaction was lost. */
  progress: TransactionProgress;
  /** What the transaction settles besides: those behind a failure in it wait too. */
  earlier: readonly Settled[];
  /** How long the server lets the transaction stand still. */
  idleMs: number;
  /** True where no more is to be called. */
  isStopping(): boolean;
  /** Told once where a handler writes over another connection of ours. */
  onOutside(): void;
};

/**
 * The handler has not returned and may go on using the connection, so that nothing can be settled
 * over it. What is to be settled of it is null where the daemon only stops, and of several that
 * were called together: they are called again one by one, so that the one that hangs stands alone.
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
 * Calls the handler for each task within the client's transaction, with a savepoint, so that one
 * failure undoes itself alone.
 * @returns of the tasks those that are through: at a dead letter that stops the consumer it ends
 * @throws CallBroken, and whatever the connection throws
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
    // What comes again is called alone.
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
  // Those that were to be called next had to wait.
  const { client, savepoint } = options;
  if (savepoint) await client.query(`release savepoint ${savepoint}`);
  return settled;
}

type Calls = CallsOptions & {
  /** Of the next call, if it was set in the round trip that ended the call before. */
  savepoint: string | undefined;
  /** True where another call is likely to follow. */
  hasNext(): boolean;
};

/** Null where not all succeeded: everything is undone, to be called one by one. */
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

/** True where an earlier notification of its key fails, since before or in this transaction. */
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
    'A statement of the handler failed, and the handler went on; all that it wrote is undone. Let the error through, or go back to a savepoint.',
    { cause },
  );
}

type Finished = Exclude<Outcome, { type: 'abandoned' }>;

/** Outcomes of a call whose effects stand only where all are done. */
async function callWithSavepoint(options: Calls, tasks: Task[]): Promise<Finished[]> {
  const { client, guard, calling, progress, onOutside } = options;
  guard.start();
  const savepoint = options.savepoint ?? newSavepoint();
  if (savepoint !== options.savepoint) await client.query(`savepoint ${savepoint}`);
  options.savepoint = undefined;
  const db = new TransactionDatabase(client);
  const scope = {
    owns: (connection: unknown) => connection === client || connection === db,
    onOutside,
  };
  guard.stop();
  progress.called = tasks;
  const outcomes = await withinScope(scope, () =>
    callTasks(calling, tasks, { ...calling.tools, makeDb: () => db }),
  );
  db.end();
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
 * Ends the call's savepoint, on a session that is clean for the next call and for what settles this
 * one. Sets the savepoint of the next call in the same round trip: that saves more than cleaning
 * costs.
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
      await cleanSession(client, { mayHavePrepared: db.mayHavePrepared, after });
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
  // Of several each is called again, alone.
  await end(outcomes.length > 1 || hasNext());
  return outcomes;
}

/** Named so that no handler can name it: a savepoint of the same name would hide this one. */
function newSavepoint(): string {
  return `pgwatch_call_${randomUUID().replaceAll('-', '')}`;
}
