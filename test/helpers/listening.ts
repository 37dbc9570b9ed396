import type { Client, Notification } from 'pg';
import pg from 'pg';
import type { TestDatabase } from './database.ts';

/** A plain LISTEN client, as any program would use one. */
export type Listening = {
  client: Client;
  /** What it was sent. The NOTIFYs of its own transaction are here once COMMIT has returned. */
  heard: Notification[];
  /** Returns the parsed payloads, and empties the list. */
  take(): unknown[];
};

/** Connects and listens on the channels. */
export async function listening(database: TestDatabase, ...channels: string[]): Promise<Listening> {
  const client = await database.connect();
  const heard: Notification[] = [];
  client.on('notification', (notification) => heard.push(notification));
  for (const channel of channels) await client.query(`listen ${pg.escapeIdentifier(channel)}`);
  return {
    client,
    heard,
    take: () => heard.splice(0).map(({ payload }) => parsed(payload ?? '')),
  };
}

function parsed(text: string): unknown {
  return text.startsWith('{') ? JSON.parse(text) : text;
}
