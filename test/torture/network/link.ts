import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { CommitWatch } from './messages.ts';

export type LinkOptions = {
  client: Socket;
  target: URL;
  /** Called at each commit that passes: whether to hold back its answer and cut the link. */
  cutsCommit(): boolean;
};

/** One connection through the proxy. */
export class Link {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #commits = new CommitWatch();
  #mode: 'passes' | 'swallows' | 'cuts at the answer' = 'passes';
  #dripUntil = 0;
  #dripping: Promise<void> = Promise.resolve();

  constructor({ client, target, cutsCommit }: LinkOptions) {
    this.#client = client;
    this.#server = connect({
      port: Number(target.port),
      host: target.hostname,
      allowHalfOpen: true,
    });
    client.on('data', (chunk: Buffer) => {
      if (this.#mode === 'swallows') return;
      if (this.#commits.sent(chunk) && cutsCommit()) this.#mode = 'cuts at the answer';
      this.#pass(this.#server, chunk);
    });
    this.#server.on('data', (chunk: Buffer) => {
      if (this.#mode === 'swallows') return;
      if (this.#mode === 'cuts at the answer') return this.reset();
      this.#commits.answered(chunk);
      this.#pass(client, chunk);
    });
    this.#passEnd(client, this.#server);
    this.#passEnd(this.#server, client);
  }

  get isClosed(): boolean {
    return this.#client.destroyed && this.#server.destroyed;
  }

  /** Swallows everything from now on, even an end: each side keeps believing in the other. */
  swallow(): void {
    this.#mode = 'swallows';
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  /** Ends one direction; the other stays open. */
  halfClose(side: 'client' | 'server'): void {
    (side === 'client' ? this.#client : this.#server).end();
  }

  /** Passes on single bytes, a millisecond apart, for that long. */
  drip(durationMs: number): void {
    this.#dripUntil = performance.now() + durationMs;
  }

  destroy(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  #pass(to: Socket, chunk: Buffer): void {
    if (this.#dripUntil === 0) to.write(chunk);
    // After what is still dripping, so no byte overtakes another.
    else this.#dripping = this.#dripping.then(() => this.#dripChunk(to, chunk));
  }

  async #dripChunk(to: Socket, chunk: Buffer): Promise<void> {
    let sent = 0;
    for (; sent < chunk.length && performance.now() < this.#dripUntil; sent++) {
      to.write(chunk.subarray(sent, sent + 1));
      await delay(1);
    }
    if (!to.destroyed) to.write(chunk.subarray(sent));
  }

  #passEnd(from: Socket, to: Socket): void {
    from.on('error', () => {});
    from.on('end', () => {
      if (this.#mode !== 'swallows') to.end();
    });
    from.on('close', () => {
      if (this.#mode !== 'swallows') to.destroy();
    });
  }
}
