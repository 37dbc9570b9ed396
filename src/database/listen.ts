import pg from 'pg';

/**
 * Listens on channels, and sends a notification to the first one, which lets the caller prove that
 * LISTEN works.
 */
export async function listenOn(
  client: pg.ClientBase,
  channels: readonly [string, ...string[]],
  probe: string,
): Promise<void> {
  for (const channel of channels) await client.query(`listen ${pg.escapeIdentifier(channel)}`);
  // A full queue stays full until the server checks what all sessions have read.
  await client.query('select pg_notification_queue_usage(), pg_notify($1, $2)', [
    channels[0],
    probe,
  ]);
}
