import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { takeBack } from './take-back.ts';

/**
 * Takes out of the leases what lies behind the position, because it is read from the log again: see takeBack. What
 * may have killed a process stays a part of its lease: as with any that were done already, it comes once more, and its
 * key waits for it.
 * @returns how many notifications are read from the log again; some of them may have been called just now
 */
export async function takeBackLeases(
  client: ClientBase,
  schema: string,
  consumerId: string,
  doneId: number,
): Promise<number> {
  return takeBack(client, schema, {
    isMeant: `consumer_id = $1 and (owner is not null or kind = 'page')`,
    isKept: 'id <= $2::bigint',
    values: [consumerId, doneId],
  });
}

/**
 * Deletes the deliveries that wait and lie behind the position, where the log still holds what they are
 * about: it is read from there, in its place among the others of its key, which would come too late were
 * it handed out by its delivery before them. Dead letters stay.
 * @returns how many
 */
export async function dropReread(
  client: ClientBase,
  schema: string,
  consumerId: string,
  doneId: number,
): Promise<number> {
  const { rowCount } = await client.query(
    `delete from ${qualified(schema, 'delivery')} as d
     using ${qualified(schema, 'consumer_progress')} as progress,
       ${qualified(schema, 'notification_log')} as log
     where d.consumer_id = $1 and d.notification_id > $2 and d.state <> 'dead'
       and progress.consumer_id = d.consumer_id
       and log.id = d.notification_id and log.channel = any(progress.channels)`,
    [consumerId, doneId],
  );
  return rowCount ?? 0;
}

/** Forgets that dead letters were discarded that lie behind the position: they are handed out again. */
export async function dropDiscarded(
  client: ClientBase,
  schema: string,
  consumerId: string,
  doneId: number,
): Promise<void> {
  await client.query(
    `delete from ${qualified(schema, 'discarded')} where consumer_id = $1 and notification_id > $2`,
    [consumerId, doneId],
  );
}
