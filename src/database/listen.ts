import pg from 'pg';

/**
 * Listens on channels, and sends a notification to the first of them, by which the caller can prove
 * that it works.
 */
export async function listenOn(
  client: pg.ClientBase,
  channels: readonly [string, ...string[]],
  probe: string,
): Promise<void> {
  for (const channel of channels) await client.query(`listen ${pg.escapeIdentifier(channel)}`);
  // A queue that was full stays full until the server is made to look at what everybody has read.
  await client.query('select pg_notification_queue_usage(), pg_notify($1, $2)', [
    channels[0],
    probe,
  ]);
}
