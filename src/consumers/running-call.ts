import { AsyncLocalStorage } from 'node:async_hooks';
import type { Call } from './context.ts';

const calls = new AsyncLocalStorage<Call>();

/** Runs the work so that what it does, and whatever it starts, is known to belong to the call. */
export function withinCall<T>(call: Call, work: () => T): T {
  return IS_CHEAP ? calls.run(call, work) : work();
}

/**
 * In which call this is done, as 'call of email (notification 7)'; null in none. Also later than
 * the call, in what its handler has started and not awaited.
 */
export function describeCall(): string | null {
  const call = calls.getStore();
  if (!call) return null;
  const ids = call.notifications.map(({ id }) => id);
  const [first, last] = [ids[0], ids.at(-1)];
  const which = ids.length === 1 ? `notification ${first}` : `notifications ${first} to ${last}`;
  return `call of ${call.consumer.id} (${which})`;
}

/** Before version 24, Node.js pays for this with every promise of the process. */
const IS_CHEAP = Number(process.versions.node.split('.')[0]) >= 24;
