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
 * batch. Each delivery is processed once, however often it fails in the meantime.
 */
export async function* changeDeadLetters(
  client: ClientBase,
  schema: string,
  change: DeadLetterChange,
): AsyncGenerator<Picked[]> {
  let batch: Picked[] = [];
  do {
    const after = batch.at(-1) ?? null;
    batch = await withTransaction(client, () => changeBatch(client, schema, change, after));
    yield batch;
  } while (batch.length === BATCH_ROWS);
}

/**
 * Applies the action to the next matching deliveries, and wakes the daemons.
 *
 * A dead letter that is retried keeps its id, its errors and its copy of the notification, and
 * starts with no attempts. A delivery that waits for a retry, selected by id, is due at once.
 * Others that were selected stay as they are.
 */
export async function changeBatch(
  client: ClientBase,
  schema: string,
  change: DeadLetterChange,
  after: Pick<Picked, 'consumerId' | 'id'> | null = null,
): Promise<Picked[]> {
  const batch = await pick(client, schema, change, after);
  const changed = batch.filter(({ isChanged }) => isChanged);
  if (change.isDryRun || changed.length === 0) return batch;
  await client.query(changeSql(schema)[change.action], [
    changed.map(({ consumerId }) => consumerId),
    changed.map(({ id }) => id),
  ]);
  await tellDaemons(client, schema, 'retry');
  return batch;
}

/** Reads the next ones in the order of the primary key, and locks them unless it is a dry run. */
async function pick(
  client: ClientBase,
  schema: string,
  { action, filter, isDryRun }: DeadLetterChange,
  after: Pick<Picked, 'consumerId' | 'id'> | null,
): Promise<Picked[]> {
  const { rows } = await client.query(
    `select d.consumer_id, d.notification_id::text as id, d.key, d.state
     from ${qualified(schema, 'delivery')} as d
     where ${filterSql(schema)}
       and ($9::text is null or (d.consumer_id, d.notification_id) > ($9, $10::bigint))
     order by d.consumer_id, d.notification_id limit ${BATCH_ROWS}
     ${isDryRun ? '' : 'for update of d'}`,
    [
      ...filterValues({ ...filter, state: filter.ids ? null : 'dead' }),
      after?.consumerId ?? null,
      after?.id ?? null,
    ],
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
