import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { takeBack } from './take-back.ts';

/**
 * Takes out of the leases what lies behind the position, because it is read from the log again: see
 * takeBack. That includes what may have killed a process: if it does so again, it becomes a suspect
 * again.
 * @returns how many notifications are read from the log again; some of them may have been called
 *   just now
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
 * Deletes the deliveries that lie behind the position, dead letters included, where the log still
 * holds what they are about: it is read from there, in its place among the others of its key, which
 * would come too late were it handed out by its delivery before them; and it would come twice, were
 * its delivery done by then.
 * @returns how many
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
       join ${qualified(schema, 'consumer_progress')} as progress on progress.consumer_id = d.consumer_id
       join ${qualified(schema, 'notification_log')} as log
         on log.id = d.notification_id and log.channel = any(progress.channels)
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
