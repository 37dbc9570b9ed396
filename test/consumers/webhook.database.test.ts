import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { loadExample } from '../helpers/example.ts';
import { until } from '../helpers/wait.ts';

type Request = { headers: IncomingMessage['headers']; body: Record<string, unknown> };

const database = useDatabase();
const requests: Request[] = [];
/** The receiver's answers, in order; then 204. */
const answers: number[] = [];
const receiver = createServer(async (request, response) => {
  requests.push({ headers: request.headers, body: (await json(request)) as Request['body'] });
  response.writeHead(answers.shift() ?? 204).end();
});
const { tail } = useDaemons(database);

beforeAll(async () => {
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  process.env.WEBHOOK_URL = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
});

afterAll(() => {
  delete process.env.WEBHOOK_URL;
  receiver.close();
  receiver.closeAllConnections();
});

test('the webhook posts every notification, and repeats those that were not accepted', async () => {
  const daemon = await tail(await loadExample('webhook'));
  answers.push(503);
  await database.query(
    `select smart_notify('orders', to_jsonb(n), 'order:' || n) from generate_series(1, 3) as n`,
  );
  const { rows: published } = await database.query(
    `select id::integer, event_id from pgwatch.notification order by id`,
  );
  await until('all are accepted', () => requests.length === 4 || `${requests.length} requests`);

  expect(requests.map(({ body }) => [body.id, body.payload, body.key, body.attempt])).toEqual([
    [published[0].id, 1, 'order:1', 1],
    [published[1].id, 2, 'order:2', 1],
    [published[2].id, 3, 'order:3', 1],
    [published[0].id, 1, 'order:1', 2],
  ]);
  const keys = requests.map(({ headers }) => headers['idempotency-key']);
  const [first, second, third] = published.map((row) => row.event_id);
  expect(keys).toEqual([first, second, third, first]);
  expect(requests[0]?.headers['content-type']).toBe('application/json');
  expect(daemon.reports.join('')).toContain('answered 503');
});
