import type { Notification } from '../log/notification.ts';
import type { Call } from './context.ts';
import type { Consumer } from './define.ts';
import { failureOf, type Outcome, type Outcomes } from './outcome.ts';

/**
 * Calls the handler for those that have no outcome yet, but for what comes behind one of its key that did not make
 * it: the handler must not get that first.
 * @param entries of each notification its outcome, or what is handed on of it
 */
export async function callOthers(
  call: Call,
  entries: readonly (Notification | Outcome)[],
  callPart: (part: Call) => Outcomes | Promise<Outcomes>,
): Promise<Outcomes> {
  const held = new HeldKeys(call.consumer);
  const judged = entries.map((entry, index) => {
    const { key } = call.notifications[index] as Notification;
    if (isOutcome(entry)) held.note(key, entry);
    return !isOutcome(entry) && held.has(key) ? BEHIND : entry;
  });
  const { overReason } = call.context;
  if (overReason) {
    // Its time was over before the handler was called, and it is not called any more.
    const rest = outcomeOfRest(call, overReason);
    return judged.map((entry) => (isOutcome(entry) ? entry : rest));
  }
  const notifications = judged.filter((entry): entry is Notification => !isOutcome(entry));
  const outcomes =
    notifications.length > 0 ? [...(await callPart({ ...call, notifications }))] : [];
  return judged.map((entry) => (isOutcome(entry) ? entry : (outcomes.shift() as Outcome)));
}

/** What has become of those that were not called when the time of the call was over. */
export function outcomeOfRest({ abandon }: Call, overReason: Error): Outcome {
  return abandon.aborted ? { type: 'abandoned' } : failureOf(overReason);
}

/** The keys whose later notifications have to wait, since one of them did not make it. */
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
    // A dead letter lets the others of its key go on, unless it stops all.
    if (type !== 'dead' || onDead === 'stop') this.#keys.add(key);
  }
}

function isOutcome(entry: Notification | Outcome): entry is Outcome {
  return 'type' in entry;
}

export const BEHIND: Outcome = Object.freeze({ type: 'behind' });
