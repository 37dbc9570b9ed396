import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A mail as the examples send it; the key is the same if it is sent again. */
export type Mail = { subject: string; key: string };

/**
 * The mail service of the examples, for the test that calls it.
 * @param answer the HTTP status for a mail, which is the `count`th one
 */
export async function openMailService(
  answer: (count: number) => number | Promise<number>,
): Promise<{ url: string; mails: Mail[] }> {
  const mails: Mail[] = [];
  const server = createServer(async (request, response) => {
    const { subject } = JSON.parse(Buffer.concat(await request.toArray()).toString());
    const count = mails.push({ subject, key: String(request.headers['idempotency-key']) });
    response.writeHead(await answer(count)).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, mails };
}
