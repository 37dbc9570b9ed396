import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Random } from '../../racing/random.ts';
import { Link } from './link.ts';

/** A TCP proxy before the server that does what networks do. It knows the protocol. */
export class Network {
  /** The server's connection string, by way of the proxy. */
  readonly url: string;
  /** How many commits were cut off from their answers. */
  cutCommits = 0;
  readonly #listener: Server;
  readonly #links = new Set<Link>();
  readonly #random: Random;
  #cutShare = 0;

  private constructor(listener: Server, serverUrl: string, random: Random) {
    const url = new URL(serverUrl);
    url.hostname = '127.0.0.1';
    url.port = String((listener.address() as AddressInfo).port);
    this.url = url.href;
    this.#listener = listener;
    this.#random = random;
    listener.on('connection', (client) => {
      const cutsCommit = () => this.#cutsCommit();
      const link = new Link({ client, target: new URL(serverUrl), cutsCommit });
      this.#links.add(link);
    });
  }

  static async open(serverUrl: string, random: Random): Promise<Network> {
    const listener = createServer({ allowHalfOpen: true });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new Network(listener, serverUrl, random);
  }

  /** The connections that are open now, or a random half of them. */
  links(which: 'all' | 'half' = 'all'): Link[] {
    for (const link of this.#links) if (link.isClosed) this.#links.delete(link);
    return [...this.#links].filter(() => which === 'all' || this.#random() < 0.5);
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
