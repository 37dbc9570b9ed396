import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import { type EmbeddedServer, startEmbedded } from '../../src/embedded/server.ts';

let folder: string;
let servers: EmbeddedServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgwatch-embedded-'));
  chmodSync(folder, 0o755);
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  servers = [];
  rmSync(folder, { recursive: true, force: true });
});

test('if the preferred port is taken, the server gets another', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const server = await start('a', port);
  expect(await dataFolder(server)).toBe(join(folder, 'a', 'data'));
  expect(new URL(server.url).port).not.toBe(String(port));
  taken.close();
});

test('servers that start at once with the same port do not confuse each other', async () => {
  // In the second round their data exists, so all look for the port at the same moment.
  for (const round of [1, 2]) {
    const started = await Promise.all(['a', 'b', 'c'].map((name) => start(name, 54_339)));
    const folders = await Promise.all(started.map(dataFolder));
    expect(folders).toEqual(['a', 'b', 'c'].map((name) => join(folder, name, 'data')));
    if (round === 1) await Promise.all(started.map((server) => server.stop()));
  }
});

test('a process that joins a running server leaves it to the one that started it', async () => {
  const server = await start('a', 54_339);
  const joined = await start('a', 54_339);
  expect(joined).toMatchObject({ url: server.url, pid: server.pid });
  await joined.stop();
  expect(await dataFolder(server)).toBe(join(folder, 'a', 'data'));
});

async function start(name: string, port: number): Promise<EmbeddedServer> {
  const server = await startEmbedded({
    folder: join(folder, name),
    port,
    settings: { fsync: 'off' },
  });
  servers.push(server);
  return server;
}

async function dataFolder({ url }: EmbeddedServer): Promise<string> {
  return withConnection({ url }, async (client) => {
    const { rows } = await client.query('show data_directory');
    return rows[0].data_directory;
  });
}
