import { expect, test } from 'vitest';
import { FailingKeys } from '../../src/daemon/calls/failing-keys.ts';
import { TaskQueue } from '../../src/daemon/calls/queue.ts';
import type { Task } from '../../src/daemon/calls/task.ts';
import type { LogRow } from '../../src/log/notification.ts';

function task(id: number, key: string, isFiled = false): Task {
  const row = [] as unknown as LogRow;
  return { row, id, key, isReplay: false, attempt: 1, isFiled, source: null, index: 0 };
}

test('a repeated notification never joins a batch of new ones, even if it is next', () => {
  const failing = new FailingKeys();
  const queue = new TaskQueue({ isOrdered: true, isSerial: false, failing, onBlocked: () => {} });
  const [a, b] = [task(10, 'a'), task(11, 'b')];
  queue.push([a, b]);
  expect([queue.take(), queue.takeFresh()]).toEqual([a, b]);
  const [behindA, behindB, again] = [task(12, 'a'), task(13, 'b'), task(1, 'a', true)];
  queue.push([behindA, behindB]);
  expect(queue.take()).toBe(undefined);
  // A dead letter that is retried.
  queue.pushFirst([again]);
  expect(queue.take()).toBe(undefined);
  queue.release(b);
  queue.release(a);
  failing.add('a');
  expect(queue.take()).toBe(behindB);
  expect(queue.takeFresh()).toBe(undefined);
  expect(queue.take()).toBe(again);
});
