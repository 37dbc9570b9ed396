import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { withTransaction } from '../../database/transaction.ts';
import {
  type DeliveryFilter,
  type DeliveryState,
  filterSql,
  filterValues,
} from '../deliveries/filter.ts';
import { safeId } from '../notification.ts';
import { tellDaemons } from '../positions/daemons.ts';
import { lockPosition, lockTaking } from './locks.ts';

/** What can be done with dead letters: deliver them again, or delete them. */
export type DeadLetterAction = 'retry' | 'discard';

/** A selected delivery, with its state before the action and whether the action applies to it. */
export type Picked = {
  consumerId: string;
  id: number;
  key: string | null;
  state: DeliveryState;
  isChanged: boolean;
};

export type DeadLetterChange = {
  action: DeadLetterAction;
  /** Without ids, it selects dead letters only. Its state is ignored. */
  filter: DeliveryFilter;
  /** Reports what would happen, and writes nothing. */
  isDryRun: boolean;
};

/**
 * Applies the action to all matching deliveries in batches, one transaction each, and yields each
 * batch, which is of one consumer. Each delivery is processed once, however often it fails in the
 * meantime.
 */
export async function* changeDeadLetters(
  client: ClientBase,
  schema: string,
  change: DeadLetterChange,
): AsyncGenerator<Picked[]> {
  for (const consumerId of await findConsumers(client, schema, change)) {
    let batch: Picked[] = [];
    do {
      const part = { consumerId, afterId: batch.at(-1)?.id ?? 0 };
      batch = await withTransaction(client, () => changeBatch(client, schema, change, part));
      yield batch;
    } while (batch.length === BATCH_ROWS);
  }
}

/** Finds the consumers with matching deliveries. */
async function findConsumers(
  client: ClientBase,
  schema: string,
  change: DeadLetterChange,
): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `select distinct d.consumer_id as id from ${qualified(schema, 'delivery')} as d
     where ${filterSql(schema)} order by id`,
    filterValues(pickedBy(change)),
  );
  return rows.map(({ id }) => id);
}

/** What is picked, however the filter is set: see DeadLetterChange. */
function pickedBy({ filter }: DeadLetterChange): DeliveryFilter {
  return { ...filter, state: filter.ids ? null : 'dead' };
}

/**
 * Applies the action to the next matching deliveries, and wakes the daemons.
 *
 * A dead letter that is retried keeps its id, its errors and its copy of the notification, and
 * starts with no attempts. A delivery that waits for a retry, selected by id, is due at once.
 * Others that were selected stay as they are.
 */
async function changeBatch(
  client: ClientBase,
  schema: string,
  change: DeadLetterChange,
  part: Part,
): Promise<Picked[]> {
  if (!change.isDryRun) {
    await lockTaking(client, schema, part.consumerId);
    await lockPosition(client, schema, part.consumerId);
  }
  const batch = await pick(client, schema, change, part);
  const changed = batch.filter(({ isChanged }) => isChanged);
  if (change.isDryRun || changed.length === 0) return batch;
  await client.query(changeSql(schema)[change.action], [
    changed.map(({ consumerId }) => consumerId),
    changed.map(({ id }) => id),
  ]);
  await tellDaemons(client, schema, 'retry');
  return batch;
}

/** The deliveries of a consumer that come after an id. */
type Part = { consumerId: string; afterId: number };

/** Reads the next ones in the order of their ids, and locks them unless it is a dry run. */
async function pick(
  client: ClientBase,
  schema: string,
  change: DeadLetterChange,
  { consumerId: ofConsumer, afterId }: Part,
): Promise<Picked[]> {
  const { action, isDryRun } = change;
  const { rows } = await client.query(
    `select d.consumer_id, d.notification_id::text as id, d.key, d.state
     from ${qualified(schema, 'delivery')} as d
     where ${filterSql(schema)}
       and d.consumer_id = $9 and d.notification_id > $10::bigint
     order by d.notification_id limit ${BATCH_ROWS}
     ${isDryRun ? '' : 'for update of d'}`,
    [...filterValues(pickedBy(change)), ofConsumer, afterId],
  );
  return (rows as PickedRow[]).map(({ consumer_id: consumerId, id, key, state }) => ({
    consumerId,
    id: safeId(id),
    key,
    state,
    isChanged: state === 'dead' || (action === 'retry' && state === 'retry'),
  }));
}

/** Parameters: 1 consumers, 2 ids. */
function changeSql(schema: string): Record<DeadLetterAction, string> {
  const delivery = qualified(schema, 'delivery');
  const isPicked = `d.consumer_id = picked.consumer_id and d.notification_id = picked.id`;
  const picked = 'unnest($1::text[], $2::bigint[]) as picked (consumer_id, id)';
  return {
    retry: `update ${delivery} as d
      set state = 'retry',
        attempts = case d.state when 'dead' then 0 else d.attempts end,
        next_attempt_at = least(d.next_attempt_at, now())
      from ${picked} where ${isPicked}`,
    discard: `with gone as (
        delete from ${delivery} as d using ${picked} where ${isPicked}
        returning d.consumer_id, d.notification_id
      )
      insert into ${qualified(schema, 'discarded')} (consumer_id, notification_id)
      select consumer_id, notification_id from gone order by consumer_id, notification_id
      on conflict (consumer_id, notification_id) do update
      set discarded_at = excluded.discarded_at`,
  };
}

type PickedRow = { consumer_id: string; id: string; key: string | null; state: DeliveryState };

const BATCH_ROWS = 1000;
