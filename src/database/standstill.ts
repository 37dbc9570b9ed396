import type { ClientBase } from 'pg';
import { destroySocket } from './connect.ts';

/**
 * Cuts a connection if the server does not answer within a given time: if the network drops
 * packets, nothing else would end a statement.
 */
export class StandstillGuard {
  readonly #client: ClientBase;
  readonly #ms: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(client: ClientBase, ms: number) {
    this.#client = client;
    this.#ms = ms;
  }

  /** Starts the time: an answer of the server is expected from now on. */
  start(): void {
    this.stop();
    this.#timer = setTimeout(() => destroySocket(this.#client), this.#ms);
  }

  /** Stops the time: no answer is expected any more. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
