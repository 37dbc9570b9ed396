import { Socket } from 'node:net';
import type { Handling } from '../history/history.ts';
import type { RecordWriter } from '../history/record.ts';

/**
 * Kills (-9) or stops this process at its n-th step from now on. A step is what can be observed
 * from outside: before and after each packet to the server, and before and after each line that a
 * handler records. Whatever the process does between two steps is undone by its death, so these are
 * all the places between awaits at which its death matters.
 */
export function signalAtStep(
  signal: 'SIGKILL' | 'SIGSTOP',
  n: number,
  record: RecordWriter<Handling>,
): void {
  let steps = 0;
  const step = () => {
    steps += 1;
    if (steps === n) process.kill(process.pid, signal);
  };
  const prototype = Socket.prototype as unknown as Record<string, Send>;
  for (const name of ['_write', '_writev']) surround(prototype, name, step);
  surround(record as unknown as Record<string, Send>, 'append', step);
}

/**
 * Stops this process as soon as a handler of the first of the consumers has done its work, which
 * has not been committed yet; soon, a handler of any of them will do; and after a second, none.
 */
export function stopAfterWork(
  consumerIds: readonly string[],
  record: RecordWriter<Handling>,
): void {
  const startedAt = performance.now();
  const append = record.append.bind(record);
  const stop = () => {
    clearTimeout(timer);
    record.append = append;
    process.kill(process.pid, 'SIGSTOP');
  };
  const timer = setTimeout(stop, 1000);
  record.append = (handling) => {
    append(handling);
    const isSoon = performance.now() - startedAt > FIRST_MS;
    const wanted = isSoon ? consumerIds : consumerIds.slice(0, 1);
    if (handling.at === 'done' && wanted.includes(handling.consumer)) stop();
  };
}

/** How long it waits for the first consumer only. */
const FIRST_MS = 300;

type Send = (...args: unknown[]) => unknown;

function surround(target: Record<string, Send>, name: string, step: () => void): void {
  const send = target[name] as Send;
  target[name] = function (this: unknown, ...args) {
    step();
    const result = send.apply(this, args);
    step();
    return result;
  };
}
