import { createServer } from 'node:http';
import { Pool } from 'pg';
import { createPgwatch } from 'pgwatch';
import { ship } from './shipping.ts';

const pool = new Pool({ connectionString: process.env.DATABASE_URL });
const pgwatch = createPgwatch({ pool });

const listening = await pgwatch.listen({ folder: 'consumers' });
// Waiting would not help, as without pgwatch's tables. The reporter has said why.
listening.done.catch(() => process.exit(1));
await listening.ready();
ship(pgwatch, pool);

/** Only for health checks. */
const server = createServer(async (_, response) => {
  const status = await pgwatch.status(['confirmation', 'invoice', 'shipping']).catch(() => null);
  const isHealthy = status?.consumers.every(({ isRun }) => isRun);
  response.writeHead(isHealthy ? 200 : 503).end();
});
server.listen(process.env.PORT ?? 3000);

process.once('SIGTERM', async () => {
  server.close();
  await pgwatch.close();
  await pool.end();
});
