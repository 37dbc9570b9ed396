import { afterEach, expect, test } from 'vitest';
import type { ConsumerDefinition } from '../../src/consumers/define.ts';
import { FailingKeys } from '../../src/daemon/failing-keys.ts';
import { FailureReports } from '../../src/daemon/failure-reports.ts';
import { Meter } from '../../src/daemon/meter.ts';
import type { Settled, Task } from '../../src/daemon/task.ts';
import { callInTransaction } from '../../src/daemon/transaction-call.ts';
import { StandstillGuard } from '../../src/database/standstill.ts';
import { collectReports, makeConsumer } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';

const database = useDatabase();
const calls: number[][] = [];

afterEach(() => {
  calls.length = 0;
});

function task(id: number, key: string | null, isFiled: boolean): Task {
  const row: Task['row'] = [
    String(id),
    '1',
    '0',
    'c',
    key,
    '{}',
    null,
    null,
    null,
    null,
    null,
    null,
  ];
  return { row, id, key, isReplay: false, attempt: 1, isFiled, source: null, index: 0 };
}

/** Calls a batch consumer for tasks, in a transaction that is rolled back. */
async function call(tasks: Task[], earlier: Settled[] = []): Promise<Settled[]> {
  const { reporter } = collectReports();
  const definition: ConsumerDefinition & { id: string } = {
    id: 'c',
    channels: ['c'],
    transaction: true,
    handleBatch: (notifications) => void calls.push(notifications.map(({ id }) => id)),
  };
  const calling = {
    consumer: makeConsumer(definition),
    reporter,
    tools: { makeDb: () => database as never, reporter },
    answerMsMax: 60_000,
    failures: new FailureReports(reporter),
    meter: new Meter(),
    abandon: new AbortController().signal,
  };
  const client = await database.pool.connect();
  try {
    await client.query('begin');
    const guard = new StandstillGuard(client, 60_000);
    const options = { guard, idleMs: 60_000, isStopping: () => false, onOutside: () => {} };
    const failing = new FailingKeys();
    const progress = { called: [], calledBefore: 0, isBystander: false, committing: null };
    return await callInTransaction(
      { client, calling, failing, progress, earlier, ...options },
      tasks,
    );
  } finally {
    await client.query('rollback');
    client.release();
  }
}

test('what comes again is called alone, and the others around it once each', async () => {
  const tasks = [
    task(1, null, false),
    task(2, null, false),
    task(3, null, true),
    task(4, null, false),
  ];
  const settled = await call([...tasks, task(5, null, true), task(6, null, true)]);
  expect(calls).toEqual([[1, 2], [3], [4], [5], [6]]);
  expect(settled.map(({ task: { id } }) => id)).toEqual([1, 2, 3, 4, 5, 6]);
});

test('what comes behind a failure that the same transaction files is not called', async () => {
  const failed: Settled = {
    task: task(1, 'a', false),
    change: { notificationId: 1, key: 'a', state: 'retry', attempts: 1, delayMs: 0, error: null },
  };
  const settled = await call([task(2, 'a', false), task(3, 'b', false)], [failed]);
  expect(calls).toEqual([[3]]);
  expect(settled.map(({ change }) => change?.state)).toEqual(['blocked', undefined]);
});
