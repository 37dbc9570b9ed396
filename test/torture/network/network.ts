import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Random } from '../../racing/random.ts';
import { Link } from './link.ts';

/** A TCP proxy in front of the server that fails like a network. It knows the protocol. */
export class Network {
  /** The server's connection string, through the proxy. */
  readonly url: string;
  /** The number of commits cut off from their answers. */
  cutCommits = 0;
  readonly #listener: Server;
  readonly #links = new Set<Link>();
  readonly #random: Random;
  #cutShare = 0;
  #target: URL | null;

  private constructor(listener: Server, serverUrl: string, random: Random) {
    const url = new URL(serverUrl);
    url.hostname = '127.0.0.1';
    url.port = String((listener.address() as AddressInfo).port);
    this.url = url.href;
    this.#listener = listener;
    this.#random = random;
    this.#target = new URL(serverUrl);
    listener.on('connection', (client) => {
      const cutsCommit = () => this.#cutsCommit();
      if (this.#target) this.#links.add(new Link({ client, target: this.#target, cutsCommit }));
      else client.resetAndDestroy();
    });
  }

  static async open(serverUrl: string, random: Random): Promise<Network> {
    const listener = createServer({ allowHalfOpen: true });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new Network(listener, serverUrl, random);
  }

  /** The open connections, or a random half of them. */
  links(which: 'all' | 'half' = 'all'): Link[] {
    for (const link of this.#links) if (link.isClosed) this.#links.delete(link);
    return [...this.#links].filter(() => which === 'all' || this.#random() < 0.5);
  }

  /** Resets all connections. New ones are led to that server, or refused if it is null. */
  leadTo(serverUrl: string | null): void {
    this.#target = serverUrl === null ? null : new URL(serverUrl);
    for (const link of this.#links) link.reset();
  }

  /** From now on this share of all commits is cut off from its answer. */
  cutCommitsOf(share: number): void {
    this.#cutShare = share;
  }

  async close(): Promise<void> {
    for (const link of this.#links) link.destroy();
    this.#listener.close();
    await once(this.#listener, 'close');
  }

  #cutsCommit(): boolean {
    const isCut = this.#random() < this.#cutShare;
    if (isCut) this.cutCommits += 1;
    return isCut;
  }
}
