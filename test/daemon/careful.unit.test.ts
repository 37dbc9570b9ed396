import { expect, test } from 'vitest';
import { Careful, groupsOf } from '../../src/daemon/calls/careful.ts';
import { FailingKeys } from '../../src/daemon/calls/failing-keys.ts';
import type { Settled, Task } from '../../src/daemon/calls/task.ts';
import type { Workers } from '../../src/daemon/calls/workers.ts';
import { Waiters } from '../../src/waiting.ts';
import { makeTask } from '../helpers/pages.ts';

/** Careful calling whose calls end when the test says so. */
function setUp({ isOrdered = true } = {}) {
  const failing = new FailingKeys();
  const waiters = new Waiters();
  const log: string[] = [];
  const skipped: Settled[] = [];
  const through = new Set<number>();
  const state = { isHeld: false, isClosed: false, closesOnRecord: false };
  const ids = (tasks: readonly Task[]) => tasks.map(({ id }) => id).join();
  const workers = {
    pushFirst: (tasks: readonly Task[]) => void log.push(`call ${ids(tasks)}`),
    skip: (settled: readonly Settled[]) => void skipped.push(...settled),
  } as Partial<Workers> as Workers;
  const careful = new Careful({
    isOrdered,
    failing,
    workers,
    isHeld: () => state.isHeld,
    isClosed: () => state.isClosed,
    async record(tasks) {
      log.push(`record ${ids(tasks)}`);
      state.isClosed ||= state.closesOnRecord;
      return [...tasks];
    },
    isThrough: ({ id }) => through.has(id),
    until: (isMet) => waiters.until(() => state.isClosed || isMet()),
  });
  const change = (work: () => void) => {
    work();
    waiters.check();
  };
  const end = (id: number) => change(() => void through.add(id));
  return { careful, failing, log, skipped, state, through, change, end };
}

const skippedIds = (skipped: readonly Settled[]) => skipped.map(({ task }) => task.id);

test('a group is recorded before it is called, and the next waits until it has ended', async () => {
  const { careful, log, end } = setUp();
  const first = careful.call([makeTask(1), makeTask(2)]);
  const second = careful.call([makeTask(3)]);
  await expect.poll(() => log).toEqual(['record 1,2', 'call 1,2']);
  end(1);
  end(2);
  await first;
  await expect.poll(() => log.slice(2)).toEqual(['record 3', 'call 3']);
  end(3);
  await second;
});

test('a notification that is due again does not hold up its own group', async () => {
  const { careful, log, end, change, through } = setUp();
  const first = careful.call([makeTask(1), makeTask(2)]);
  await expect.poll(() => log).toEqual(['record 1,2', 'call 1,2']);
  end(1);
  // It was put back, and its next call is waiting behind this group.
  const again = careful.call([makeTask(1, null, { isFiled: true })]);
  change(() => void through.delete(1));
  end(2);
  await first;
  await expect.poll(() => log.slice(2)).toEqual(['record 1', 'call 1']);
  end(1);
  await again;
});

test('a notification whose key fails by then is not called, but waits', async () => {
  const { careful, failing, log, skipped, end } = setUp();
  failing.add('a');
  const call = careful.call([makeTask(1, 'a'), makeTask(2, 'b')]);
  await expect.poll(() => log).toEqual(['record 2', 'call 2']);
  expect(skippedIds(skipped)).toEqual([1]);
  end(2);
  await call;
});

test('without order by key nothing waits for another', async () => {
  const { careful, failing, log, end } = setUp({ isOrdered: false });
  failing.add('a');
  end(1);
  await careful.call([makeTask(1, 'a')]);
  expect(log).toEqual(['record 1', 'call 1']);
});

test('while new notifications are held, retries go first', async () => {
  const { careful, log, state, change, end } = setUp();
  state.isHeld = true;
  const fresh = careful.call([makeTask(1)]);
  end(2);
  await careful.call([makeTask(2, null, { isFiled: true })]);
  expect(log).toEqual(['record 2', 'call 2']);
  change(() => {
    state.isHeld = false;
  });
  end(1);
  await fresh;
  expect(log.slice(2)).toEqual(['record 1', 'call 1']);
});

test('what was recorded is put back if it is closed before the call', async () => {
  const { careful, log, skipped, state } = setUp();
  state.closesOnRecord = true;
  await careful.call([makeTask(1)]);
  await careful.call([makeTask(2)]);
  expect(log).toEqual(['record 1']);
  expect(skippedIds(skipped)).toEqual([1]);
});

const sizes = (groups: Task[][]) => groups.map(({ length }) => length);

test('groups hold at least 32 tasks, more with more concurrency, and one with onDead stop', () => {
  const tasks = Array.from({ length: 70 }, (_, index) => makeTask(index));
  expect(sizes(groupsOf(tasks, { concurrency: 1, onDead: 'continue' }))).toEqual([32, 32, 6]);
  expect(sizes(groupsOf(tasks, { concurrency: 50, onDead: 'continue' }))).toEqual([50, 20]);
  const stopping = groupsOf(tasks, { concurrency: 50, onDead: 'stop' });
  expect(sizes(stopping)).toEqual(tasks.map(() => 1));
});

test('a task that is to be called alone has a group of its own, in its place', () => {
  const tasks = [1, 2, 3, 4].map((id) => makeTask(id));
  const alone = new Set(tasks.slice(1, 2));
  const groups = groupsOf(tasks, { concurrency: 1, onDead: 'continue' }, alone);
  expect(groups.map((group) => group.map(({ id }) => id))).toEqual([[1], [2], [3, 4]]);
});
