import type { ClientBase } from 'pg';

/** Counts connections of a pool that were lost for no known reason. */
export class Losses {
  readonly #times = new Map<ClientBase, number>();
  readonly #explained = new WeakSet<ClientBase>();

  note(client: ClientBase): void {
    if (!this.#explained.has(client)) this.#times.set(client, performance.now());
    this.within(KEPT_MS);
  }

  /** There is a known reason for the loss of the connection. */
  explain(client: ClientBase): void {
    this.#explained.add(client);
    this.#times.delete(client);
  }

  /** How many there were in the last milliseconds given, which are at most ten seconds. */
  within(ms: number): number {
    const since = performance.now() - ms;
    for (const [client, time] of this.#times) if (time < since) this.#times.delete(client);
    return this.#times.size;
  }
}

const KEPT_MS = 10_000;
