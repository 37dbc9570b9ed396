import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { isReadSql } from '../channels.ts';
import { takeBack } from './take-back.ts';

/**
 * Takes notifications after the position out of the leases, because they are read from the log
 * again; see takeBack. This includes those that may have killed a process: one that does so again
 * becomes a suspect again.
 * @returns how many notifications are read from the log again; the handlers of some may have just
 *   been called
 */
export async function takeBackLeases(
  client: ClientBase,
  schema: string,
  consumerId: string,
  doneId: number,
): Promise<number> {
  return takeBack(client, schema, {
    isMeant: `consumer_id = $1 and (owner is not null or kind <> 'retry')`,
    isKept: 'id <= $2::bigint',
    values: [consumerId, doneId],
  });
}

/**
 * Deletes the deliveries after the position, including dead letters, if the log still has their
 * notifications. Those are read from the log, in order with the others of their key. If a
 * notification were delivered through its delivery instead, it would come before earlier ones of
 * its key; and if the delivery were done by then, the notification would come twice.
 * @returns how many deliveries were deleted
 */
export async function dropReread(
  client: ClientBase,
  schema: string,
  consumerId: string,
  doneId: number,
): Promise<number> {
  const { rowCount } = await client.query(
    `delete from ${qualified(schema, 'delivery')}
     where consumer_id = $1 and notification_id in (
       select d.notification_id from ${qualified(schema, 'delivery')} as d
       join ${qualified(schema, 'consumer_progress')} as progress
         on progress.consumer_id = d.consumer_id
       join ${qualified(schema, 'notification_log')} as log
         on log.id = d.notification_id and ${isReadSql(schema, 'progress', 'log')}
       where d.consumer_id = $1 and d.notification_id > $2
       order by d.notification_id for update of d)`,
    [consumerId, doneId],
  );
  return rowCount ?? 0;
}

/** Forgets which dead letters after the position were discarded: they are delivered again. */
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
