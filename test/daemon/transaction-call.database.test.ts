import { afterEach, expect, vi } from 'vitest';
import type { ConsumerDefinition } from '../../src/consumers/define.ts';
import { DeadLetterHook } from '../../src/daemon/calls/dead-letter-hook.ts';
import { FailingKeys } from '../../src/daemon/calls/failing-keys.ts';
import { FailureReports } from '../../src/daemon/calls/failure-reports.ts';
import { Meter } from '../../src/daemon/calls/meter.ts';
import type { Settled, Task } from '../../src/daemon/calls/task.ts';
import { callInTransaction } from '../../src/daemon/calls/transaction/call.ts';
import { StandstillGuard } from '../../src/database/standstill.ts';
import { collectReports } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { makeConsumer } from '../helpers/doors/run.ts';

const test = filesOnly('it tests parts of the daemon');

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

const BATCH: Partial<ConsumerDefinition> = {
  handleBatch: (notifications) => void calls.push(notifications.map(({ id }) => id)),
};

/**
 * Calls a consumer for tasks in a transaction that is rolled back. `look` receives the statements
 * sent.
 */
async function call(
  tasks: Task[],
  earlier: Settled[] = [],
  how = BATCH,
  look: (sent: string[]) => void = () => {},
): Promise<Settled[]> {
  const { reporter } = collectReports();
  const definition = { id: 'c', channels: ['c'], transaction: true, ...how };
  const calling = {
    consumer: makeConsumer(definition as ConsumerDefinition & { id: string }),
    reporter,
    tools: { makeDb: () => database as never, isFenced: () => false, reporter },
    answerMsMax: 60_000,
    failures: new FailureReports(reporter),
    deadLetters: new DeadLetterHook(null, reporter),
    meter: new Meter(),
    abandon: new AbortController().signal,
  };
  const client = await database.pool.connect();
  try {
    await client.query('begin');
    const guard = new StandstillGuard(client, 60_000);
    const options = {
      isBorrowed: false,
      guard,
      idleMs: 60_000,
      isStopping: () => false,
      onOutside: () => {},
    };
    const failing = new FailingKeys();
    const progress = { called: [], calledBefore: 0, isBystander: false, committing: null };
    const sending = vi.spyOn(client, 'query');
    const settled = await callInTransaction(
      { client, calling, failing, progress, earlier, ...options },
      tasks,
    );
    look(sending.mock.calls.map(([sent]: unknown[]) => String((sent as Text).text ?? sent)));
    return settled;
  } finally {
    vi.restoreAllMocks();
    await client.query('rollback');
    client.release();
  }
}

type Text = { text?: string };

const SAVEPOINT = /(^|; )savepoint pgwatch_call/g;
const RELEASE = /release savepoint pgwatch_call/g;

/** Each call sends one statement, which fails for these ids. */
const sending = (failingIds: number[]): Partial<ConsumerDefinition> => ({
  async handle({ id }, { db }) {
    await db.query(failingIds.includes(id) ? 'select 1/0' : 'select 1');
  },
});

test.each([
  ['all are done', []],
  ['one fails', [2]],
  ['the last fails', [3]],
])(
  'calls take one round trip each besides their statements, two if they fail: %s',
  async (_, failingIds) => {
    const tasks = [task(1, null, false), task(2, null, false), task(3, null, false)];
    let statements: string[] = [];
    await call(tasks, [], sending(failingIds), (sent) => {
      statements = sent;
    });
    // The first savepoint, the statements, and the end of each call; a failed call is rolled back
    // before its end.
    expect(statements.length).toBe(1 + 3 + 3 + failingIds.length);
    const all = statements.join('; ');
    expect(all.match(SAVEPOINT)?.length).toBe(3);
    expect(all.match(RELEASE)?.length).toBe(3);
  },
);

test('no savepoint is left open if the next notification has to wait', async () => {
  const failed: Settled = {
    task: task(1, 'a', false),
    change: { notificationId: 1, key: 'a', state: 'retry', attempts: 1, delayMs: 0, error: null },
  };
  const tasks = [task(2, 'b', false), task(3, 'a', false)];
  const settled = await call(tasks, [failed], sending([]), (sent) => {
    const all = sent.join('; ');
    expect(all.match(SAVEPOINT)?.length).toBe(2);
    expect(all.match(RELEASE)?.length).toBe(2);
  });
  expect(settled.map(({ change }) => change?.state)).toEqual([undefined, 'blocked']);
});

test('a retried notification is called alone, the others around it once each', async () => {
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

test('a notification after a failure saved by the same transaction is not called', async () => {
  const failed: Settled = {
    task: task(1, 'a', false),
    change: { notificationId: 1, key: 'a', state: 'retry', attempts: 1, delayMs: 0, error: null },
  };
  const settled = await call([task(2, 'a', false), task(3, 'b', false)], [failed]);
  expect(calls).toEqual([[3]]);
  expect(settled.map(({ change }) => change?.state)).toEqual(['blocked', undefined]);
});
