import { resolve } from 'node:path';
import type { Config } from '../config/define.ts';
import { withConnection } from '../database/connect.ts';
import { migrateUp } from '../database/migrate.ts';
import { pinSettings } from '../database/settings.ts';
import { startEmbedded } from '../embedded/server.ts';
import type { Reporter } from '../reporter.ts';

/** Starts and migrates the embedded PostgreSQL in .pgwatch/, runs the work, stops the server. */
export async function withEmbedded(
  config: Config,
  reporter: Reporter,
  work: (config: Config) => Promise<void>,
): Promise<void> {
  const folder = resolve('.pgwatch');
  reporter.info(`Starting a PostgreSQL server in ${folder} …`);
  const server = await startEmbedded({ folder });
  try {
    const complete: Config = { ...config, url: server.url, directUrl: null, tls: 'off' };
    await withConnection(complete, async (client) => {
      await pinSettings(client);
      await migrateUp(client, complete);
    });
    reporter.info(
      `It is running${server.folder === folder ? '' : ` in ${server.folder}`}. Connect with:\n\n` +
        `    psql ${server.url}\n    export DATABASE_URL=${server.url}\n`,
    );
    await work(complete);
  } finally {
    await server.stop();
  }
}
