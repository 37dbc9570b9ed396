import { once } from 'node:events';
import express from 'express';
import { createPgwatch } from 'pgwatch';
import { fromKysely } from 'pgwatch/adapters';
import { confirmation, invoice } from './consumers.ts';
import { db, pool } from './database.ts';
import { followOrders, newestOrders } from './order-list.ts';

const pgwatch = createPgwatch({ pool });
await followOrders(pgwatch);
const listening = await pgwatch.listen([confirmation, invoice]);
// Waiting would not help, as without pgwatch's tables. The reporter has said why.
listening.done.catch(() => process.exit(1));
await listening.ready();

const app = express();
app.use(express.json());

app.get('/orders', async (_, response) => {
  response.json(await newestOrders());
});

app.post('/orders', async ({ body: { item } }, response) => {
  const order = await db.transaction().execute(async (trx) => {
    const insert = trx.insertInto('orders').values({ item }).returningAll();
    const order = await insert.executeTakeFirstOrThrow();
    await pgwatch.notify('orders.created', order, { client: fromKysely(trx) });
    return order;
  });
  response.status(201).json(order);
});

app.get('/health', async (_, response) => {
  const { consumers } = await pgwatch.status(['confirmation', 'invoice']);
  const isHealthy = consumers.every(({ isRun }) => isRun);
  response.status(isHealthy ? 200 : 503).json({ isHealthy });
});

const server = app.listen(process.env.PORT ?? 3000);

process.once('SIGTERM', async () => {
  server.close();
  // At the same time: neither has to wait for the other.
  await Promise.all([once(server, 'close'), listening.stop()]);
  await pgwatch.close();
  await pool.end();
});
