import type { LogNotification } from '../log/notification.ts';
import type { Call } from './context.ts';
import type { Consumer } from './define.ts';
import { failureOf, type Outcome, type Outcomes } from './outcome.ts';

/**
 * Calls the handler for the notifications that have no outcome yet, except those whose key has
 * failed before: the handler must not receive them out of order.
 * @param entries for each notification its outcome, or the notification to pass to the handler
 */
export async function callOthers(
  call: Call,
  entries: readonly (LogNotification | Outcome)[],
  callPart: (part: Call) => Outcomes | Promise<Outcomes>,
): Promise<Outcomes> {
  const held = new HeldKeys(call.consumer);
  const judged = entries.map((entry, index) => {
    const { key } = call.notifications[index] as LogNotification;
    if (isOutcome(entry)) held.note(key, entry);
    return !isOutcome(entry) && held.has(key) ? BEHIND : entry;
  });
  const { overReason } = call.context;
  if (overReason) {
    // The checks used up the time of the call: the handler is not called.
    const rest = outcomeOfRest(call, overReason);
    return judged.map((entry) => (isOutcome(entry) ? entry : rest));
  }
  const notifications = judged.filter((entry): entry is LogNotification => !isOutcome(entry));
  const outcomes =
    notifications.length > 0 ? [...(await callPart({ ...call, notifications }))] : [];
  return judged.map((entry) => (isOutcome(entry) ? entry : (outcomes.shift() as Outcome)));
}

/** The outcome of notifications that the handler was not called for before time was over. */
export function outcomeOfRest({ abandon }: Call, overReason: Error): Outcome {
  return abandon.aborted ? { type: 'abandoned' } : failureOf(overReason);
}

/** Keys with a failed notification: later ones wait for it. */
export class HeldKeys {
  readonly #consumer: Consumer;
  readonly #keys = new Set<string>();

  constructor(consumer: Consumer) {
    this.#consumer = consumer;
  }

  has(key: string | null): boolean {
    return key !== null && this.#keys.has(key);
  }

  note(key: string | null, { type }: Outcome): void {
    const { order, onDead } = this.#consumer;
    if (key === null || order !== 'key' || type === 'done') return;
    // A dead letter does not hold its key, unless it stops the consumer.
    if (type !== 'dead' || onDead === 'stop') this.#keys.add(key);
  }
}

function isOutcome(entry: LogNotification | Outcome): entry is Outcome {
  return 'type' in entry;
}

export const BEHIND: Outcome = Object.freeze({ type: 'behind' });
