import fastify from 'fastify';
import { createPgwatch } from 'pgwatch';
import { fromDrizzle } from 'pgwatch/adapters';
import { confirmation, invoice } from './consumers.ts';
import { db, orders, pool } from './database.ts';
import { followOrders, newestOrders } from './order-list.ts';

const app = fastify({ logger: true });
const pgwatch = createPgwatch({ pool, reporter: app.log });

await followOrders(pgwatch);
const listening = await pgwatch.listen([confirmation, invoice]);
// Waiting would not help, as without pgwatch's tables. The reporter has said why.
listening.done.catch(() => process.exit(1));
await listening.ready();

app.get('/orders', () => newestOrders());

app.post<{ Body: { item: string } }>('/orders', async ({ body: { item } }, reply) => {
  const order = await db.transaction(async (tx) => {
    const [order] = await tx.insert(orders).values({ item }).returning();
    await pgwatch.notify('orders.created', order, { client: fromDrizzle(tx) });
    return order;
  });
  return reply.code(201).send(order);
});

app.get('/health', async (_, reply) => {
  const { consumers } = await pgwatch.status(['confirmation', 'invoice']);
  const isHealthy = consumers.every(({ isRun }) => isRun);
  return reply.code(isHealthy ? 200 : 503).send({ isHealthy });
});

process.once('SIGTERM', async () => {
  // At the same time: neither has to wait for the other.
  await Promise.all([app.close(), listening.stop()]);
  await pgwatch.close();
  await pool.end();
});

await app.listen({ port: Number(process.env.PORT ?? 3000) });
