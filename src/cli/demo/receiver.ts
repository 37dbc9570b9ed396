import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The port that consumers/webhook.ts sends to unless WEBHOOK_URL is set. */
const DEFAULT_PORT = 54_330;

export type Receiver = { /** How many requests have come. */ readonly received: number };

/**
 * Runs the work with a receiver for the webhook consumer, and sets WEBHOOK_URL to its address. If
 * WEBHOOK_URL is already set, it is left alone and this receiver gets nothing.
 */
export async function withReceiver<T>(work: (receiver: Receiver) => Promise<T>): Promise<T> {
  const receiver = { received: 0 };
  if (process.env.WEBHOOK_URL) return work(receiver);
  const server = createServer((request, response) => {
    receiver.received += 1;
    request.resume().on('end', () => response.writeHead(204).end());
  });
  // If another program has the usual port, it must not get the notifications.
  if (!(await listens(server, DEFAULT_PORT))) await listens(server, 0);
  const { port } = server.address() as AddressInfo;
  process.env.WEBHOOK_URL = `http://127.0.0.1:${port}/webhook`;
  try {
    return await work(receiver);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

async function listens(server: Server, port: number): Promise<boolean> {
  server.listen(port, '127.0.0.1');
  return once(server, 'listening').then(
    () => true,
    () => false,
  );
}
