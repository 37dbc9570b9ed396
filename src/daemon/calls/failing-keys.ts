import type { DeliveryChange } from '../../log/deliveries/delivery.ts';

/**
 * The keys with a notification that waits for a retry: later notifications of these keys wait too.
 * Includes deliveries that are not saved yet, so that nothing overtakes them.
 */
export class FailingKeys {
  readonly #keys = new Map<string, { isWaiting: boolean; unsavedCount: number }>();

  constructor(keys: readonly string[] = []) {
    for (const key of keys) this.add(key);
  }

  has(key: string | null): boolean {
    return key !== null && this.#keys.get(key)?.isWaiting === true;
  }

  /** A notification of the key was found waiting. */
  add(key: string | null): void {
    if (key !== null) this.#entry(key).isWaiting = true;
  }

  /** The change is going to be saved. */
  note({ key, state }: DeliveryChange): void {
    if (key === null) return;
    const entry = this.#entry(key);
    entry.unsavedCount += 1;
    if (state === 'retry' || state === 'blocked') entry.isWaiting = true;
  }

  /** Of these keys, waitingKeys have a notification waiting, according to the database. */
  refresh(keys: readonly string[], waitingKeys: readonly string[]): void {
    const waiting = new Set(waitingKeys);
    for (const key of keys) {
      if ((this.#keys.get(key)?.unsavedCount ?? 0) > 0) continue;
      if (waiting.has(key)) this.add(key);
      else this.#keys.delete(key);
    }
  }

  /** The changes are saved. Of their keys, waitingKeys still have a notification waiting. */
  settle(changes: readonly DeliveryChange[], waitingKeys: readonly string[]): void {
    const waiting = new Set(waitingKeys);
    for (const { key } of changes) {
      if (key === null) continue;
      const entry = this.#entry(key);
      entry.unsavedCount -= 1;
      // While another change is unsaved, the answer of the database is not final.
      if (entry.unsavedCount > 0) continue;
      entry.isWaiting = waiting.has(key);
      if (!entry.isWaiting) this.#keys.delete(key);
    }
  }

  #entry(key: string) {
    const entry = this.#keys.get(key) ?? { isWaiting: false, unsavedCount: 0 };
    this.#keys.set(key, entry);
    return entry;
  }
}
