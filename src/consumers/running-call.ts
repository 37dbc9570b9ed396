import { AsyncLocalStorage } from 'node:async_hooks';
import type { Call } from './context.ts';

const calls = new AsyncLocalStorage<Call>();

/** Runs the work so that describeCall() knows the call in it and in everything that it starts. */
export function withinCall<T>(call: Call, work: () => T): T {
  return IS_CHEAP ? calls.run(call, work) : work();
}

/**
 * The call that the current code belongs to, like 'call of email (notification 7)'; null if there
 * is none. Also works after the call, in work that its handler started without awaiting it.
 */
export function describeCall(): string | null {
  const call = calls.getStore();
  if (!call) return null;
  const ids = call.notifications.map(({ id }) => id);
  const [first, last] = [ids[0], ids.at(-1)];
  const which = ids.length === 1 ? `notification ${first}` : `notifications ${first} to ${last}`;
  return `call of ${call.consumer.id} (${which})`;
}

/** Before Node.js 24, this slows down every promise of the process. */
const IS_CHEAP = Number(process.versions.node.split('.')[0]) >= 24;
