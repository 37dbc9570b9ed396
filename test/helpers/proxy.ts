import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy in front of the server that can fail like a network. */
export type Proxy = {
  /** The server's connection string, through the proxy. */
  url: string;
  /**
   * Swallows everything on the current connections, even their end: the server believes in them
   * until the proxy is closed. New connections work.
   */
  blackhole(): void;
  /** Resets the current connections. */
  reset(): void;
  /**
   * Silences the next connection that sends a statement containing this text, from that statement
   * on.
   */
  swallowAt(text: string): void;
  /** Whether swallowAt() has silenced a connection. */
  readonly hasSwallowed: boolean;
  close(): Promise<void>;
};

export async function startProxy(serverUrl: string, port = 0): Promise<Proxy> {
  const target = new URL(serverUrl);
  const pairs = new Set<{ client: Socket; server: Socket }>();
  const swallowed: Socket[] = [];
  let swallowAt: string | undefined;
  const swallow = ({ client, server }: { client: Socket; server: Socket }) => {
    client.unpipe(server);
    server.unpipe(client);
    swallowed.push(server);
    // Read and discarded, so neither side notices the other's silence.
    client.resume();
    server.resume();
  };
  const listener = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    const pair = { client, server };
    pairs.add(pair);
    // Before the pipe, which would pass this chunk on.
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
  listener.listen(port, '127.0.0.1');
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
