import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy before the server that can do what networks do. */
export type Proxy = {
  /** The server's connection string, by way of the proxy. */
  url: string;
  /**
   * Swallows everything on the connections there are now, also their end: the server goes on
   * believing in them until the proxy is closed. New ones work.
   */
  blackhole(): void;
  /** Resets the connections there are now. */
  reset(): void;
  /**
   * The next connection over which a statement with this text in it is sent falls silent with it.
   */
  swallowAt(text: string): void;
  /** True once it has. */
  readonly hasSwallowed: boolean;
  close(): Promise<void>;
};

export async function startProxy(serverUrl: string): Promise<Proxy> {
  const target = new URL(serverUrl);
  const pairs = new Set<{ client: Socket; server: Socket }>();
  const swallowed: Socket[] = [];
  let swallowAt: string | undefined;
  const swallow = ({ client, server }: { client: Socket; server: Socket }) => {
    client.unpipe(server);
    server.unpipe(client);
    swallowed.push(server);
    // Read and thrown away, so that neither side feels the other's silence.
    client.resume();
    server.resume();
  };
  const listener = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    const pair = { client, server };
    pairs.add(pair);
    // Before the pipe, which passes on what comes after this one.
    client.on('data', (chunk: Buffer) => {
      if (swallowAt === undefined || !chunk.includes(swallowAt)) return;
      swallowAt = undefined;
      swallow(pair);
    });
    client.pipe(server);
    server.pipe(client);
    for (const socket of [client, server]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        if (!swallowed.includes(server)) server.destroy();
        pairs.delete(pair);
      });
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const url = new URL(serverUrl);
  url.hostname = '127.0.0.1';
  url.port = String((listener.address() as AddressInfo).port);
  return {
    url: url.href,
    blackhole() {
      for (const pair of pairs) swallow(pair);
    },
    swallowAt(text) {
      swallowAt = text;
    },
    get hasSwallowed() {
      return swallowed.length > 0;
    },
    reset() {
      for (const { client } of pairs) client.resetAndDestroy();
    },
    async close() {
      for (const { client } of pairs) client.destroy();
      for (const server of swallowed) server.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}
