import type { ClientBase } from 'pg';
import { destroySocket } from './connect.ts';

/**
 * Cuts a connection on which the server has not answered for so long, while it is waited for: on a
 * network that swallows, nothing else would end a statement.
 */
export class StandstillGuard {
  readonly #client: ClientBase;
  readonly #ms: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(client: ClientBase, ms: number) {
    this.#client = client;
    this.#ms = ms;
  }

  /** The server is waited for from now on. */
  start(): void {
    this.stop();
    this.#timer = setTimeout(() => destroySocket(this.#client), this.#ms);
  }

  /** Something else is, or nothing. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
