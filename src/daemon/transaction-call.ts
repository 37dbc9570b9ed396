import type { PoolClient } from 'pg';
import { TimeoutError } from '../consumers/call.ts';
import { failureOf, type Outcome } from '../consumers/outcome.ts';
import { isStatementError } from '../database/connect.ts';
import { withinScope } from '../database/transaction-scope.ts';
import { type Calling, callTasks, changeAfter } from './calling.ts';
import type { FailingKeys } from './failing-keys.ts';
import type { Settled, Task } from './task.ts';
import { TransactionDatabase } from './transaction-db.ts';

export type CallsOptions = {
  client: PoolClient;
  calling: Calling;
  failing: FailingKeys;
  /** True where no more is to be called. */
  isStopping(): boolean;
  /** Told once where a handler writes over another connection of ours. */
  onOutside(): void;
};

/**
 * The handler has not returned and may go on using the connection, so that nothing can be settled
 * over it. What is to be settled of it is null where the daemon only stops.
 */
export class CallBroken extends Error {
  readonly settled: Settled | null;

  constructor(settled: Settled | null) {
    super('the handler did not return');
    this.settled = settled;
  }
}

/**
 * Calls the handler for each task within the client's transaction, with a savepoint, so that one
 * failure undoes itself alone.
 * @throws CallBroken, and whatever the connection throws
 */
export async function callInTransaction(options: CallsOptions, tasks: Task[]): Promise<Settled[]> {
  const { batchSize } = options.calling.consumer;
  const settled: Settled[] = [];
  for (let index = 0; index < tasks.length && !options.isStopping(); ) {
    const rest = tasks.slice(index, index + (batchSize ?? tasks.length));
    const batch = rest[0]?.isFiled ? rest.slice(0, 1) : rest.filter(({ isFiled }) => !isFiled);
    index += batch.length;
    const called = batch.length > 1 ? await callTogether(options, batch) : null;
    if (called) settled.push(...called);
    else for (const task of batch) settled.push(await callAlone(options, task, settled));
  }
  return settled;
}

/** Null where not all succeeded: everything is undone, to be called one by one. */
async function callTogether(options: CallsOptions, batch: Task[]): Promise<Settled[] | null> {
  const { calling } = options;
  if (batch.some((task) => mustWait(options, task, []))) return null;
  const outcomes = await callWithSavepoint(options, batch);
  if (!outcomes.every(({ type }) => type === 'done')) return null;
  return batch.map((task) => ({ task, change: changeAfter(calling, task, { type: 'done' }) }));
}

async function callAlone(
  options: CallsOptions,
  task: Task,
  earlier: readonly Settled[],
): Promise<Settled> {
  const { id: notificationId, key, isFiled } = task;
  if (mustWait(options, task, earlier)) {
    return { task, change: isFiled ? null : { notificationId, key, state: 'blocked' } };
  }
  const [outcome] = await callWithSavepoint(options, [task]);
  return { task, change: changeAfter(options.calling, task, outcome as Finished) };
}

/** True where an earlier notification of its key fails, since before or in this transaction. */
function mustWait(
  { calling, failing }: CallsOptions,
  { key, isFiled, chain }: Task,
  earlier: readonly Settled[],
): boolean {
  if (isFiled) return chain?.isBroken ?? false;
  if (calling.consumer.order !== 'key' || key === null) return false;
  return (
    failing.has(key) ||
    earlier.some(({ change }) => change?.key === key && change.state === 'retry')
  );
}

type Finished = Exclude<Outcome, { type: 'abandoned' }>;

/** Outcomes of a call whose effects stand only where all are done. */
async function callWithSavepoint(options: CallsOptions, tasks: Task[]): Promise<Finished[]> {
  const { client, calling, onOutside } = options;
  await client.query('savepoint pgwatch_call');
  const db = new TransactionDatabase(client);
  const scope = {
    owns: (connection: unknown) => connection === client || connection === db,
    onOutside,
  };
  const outcomes = await withinScope(scope, () =>
    callTasks(calling, tasks, { ...calling.shared, db }),
  );
  db.end();
  const finished = outcomes.filter((outcome): outcome is Finished => outcome.type !== 'abandoned');
  if (finished.length < tasks.length) throw new CallBroken(null);
  const late = finished.find((o) => o.type === 'failed' && o.error instanceof TimeoutError);
  if (late) {
    const [task] = tasks as [Task];
    throw new CallBroken({ task, change: changeAfter(calling, task, late) });
  }
  return release(client, finished);
}

async function release(client: PoolClient, outcomes: Finished[]): Promise<Finished[]> {
  if (outcomes.every(({ type }) => type === 'done')) {
    try {
      await client.query('release savepoint pgwatch_call');
      return outcomes;
    } catch (thrown) {
      if (!isStatementError(thrown)) throw thrown;
      // A statement failed and the handler went on: PostgreSQL undoes all of it.
      outcomes.fill(failureOf(thrown) as Finished);
    }
  }
  await client.query('rollback to savepoint pgwatch_call');
  await client.query('release savepoint pgwatch_call');
  return outcomes;
}
