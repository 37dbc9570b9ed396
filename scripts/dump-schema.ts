/** npm run schema: writes sql/schema.sql. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../src/config/load.ts';
import { withConnection } from '../src/database/connect.ts';
import { migrateUp } from '../src/database/migrate.ts';
import { startEmbedded } from '../src/embedded/server.ts';
import { schemaText } from './schema-text.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgwatch-schema-'));
const server = await startEmbedded({ folder, settings: { fsync: 'off' } });
try {
  const roles = {
    publish: ['publisher'],
    consume: ['consumer'],
    read: ['reader'],
    capture: ['capturer'],
  };
  const config = await loadConfig({ flags: { url: server.url, roles }, environment: {}, folder });
  await withConnection(config, async (client) => {
    await client.query(
      `create role publisher; create role consumer; create role reader; create role capturer`,
    );
    await migrateUp(client, config);
    const text = await schemaText(client, config, {});
    writeFileSync(new URL('../sql/schema.sql', import.meta.url), text);
  });
} finally {
  await server.stop();
  rmSync(server.folder, { recursive: true, force: true });
}
