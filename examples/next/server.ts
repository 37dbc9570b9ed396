import { once } from 'node:events';
import { createServer } from 'node:http';
import next from 'next';
import { createPgwatch } from 'pgwatch';
import { confirmation, invoice } from './consumers.ts';

const app = next({ dev: false });
await app.prepare();

const pgwatch = createPgwatch();
const listening = await pgwatch.listen([confirmation, invoice]);
// Waiting would not help, as without pgwatch's tables. The reporter has said why.
listening.done.catch(() => process.exit(1));
await listening.ready();

const server = createServer(app.getRequestHandler());
server.listen(process.env.PORT ?? 3000);

process.once('SIGTERM', async () => {
  server.close();
  await Promise.all([once(server, 'close'), listening.stop()]);
  await pgwatch.close();
  // What is left only reads.
  process.exit();
});
