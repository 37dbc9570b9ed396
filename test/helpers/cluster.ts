import type { Client } from 'pg';
import { inject, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { UserConfig } from '../../src/consumers/hooks.ts';
import { connect } from '../../src/database/connect.ts';

/** An empty database, and the configuration for it. */
export type EmptyDatabase = {
  url: string;
  client: Client;
  query: Client['query'];
  configWith(options: UserConfig): ReturnType<typeof loadConfig>;
};

/** Creates an empty database for the test that calls it. */
export async function createEmptyDatabase(): Promise<EmptyDatabase> {
  return createDatabase('template1');
}

/** Creates a database as "pgwatch migrate" leaves it, with the default names. */
export async function createMigratedDatabase(): Promise<EmptyDatabase> {
  return createDatabase(inject('templateName'));
}

async function createDatabase(template: string): Promise<EmptyDatabase> {
  const name = `empty_${process.pid}_${Math.random().toString(36).slice(2, 8)}`;
  const url = new URL(inject('serverUrl'));
  const server = await connect({ url: url.href });
  await server.query(`create database ${name} template ${template}`);
  url.pathname = `/${name}`;
  const client = await connect({ url: url.href });
  onTestFinished(async () => {
    await client.end();
    await server.query(`drop database ${name} with (force)`);
    await server.end();
  });
  return {
    url: url.href,
    client,
    query: client.query.bind(client) as Client['query'],
    configWith: (options) =>
      loadConfig({ flags: { url: url.href, ...options }, environment: {}, folder: '/' }),
  };
}
