import { qualified } from '../../database/names.ts';

/**
 * The ids of deliveries of the consumer $1, which are locked in the order of their ids. A statement
 * that changes several deliveries takes them from here: otherwise it would lock them in whatever
 * order its plan finds them, and two sessions could deadlock.
 * @param isMeant a condition on the delivery d
 */
export function lockedSql(schema: string, isMeant: string): string {
  return `(
    select d.notification_id from ${qualified(schema, 'delivery')} as d
    where d.consumer_id = $1 and ${isMeant}
    order by d.notification_id for update of d)`;
}
