import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { errorCodeOf, toError } from '../../errors.ts';
import { calledAttemptOf, type DeliveryChange } from './delivery.ts';

/**
 * Files the changes that are not done, in the transaction of the client. If the server refuses a
 * value, each change is filed separately, and the bad one without the refused part: everything that
 * the log accepts can be filed, and no change prevents the others from being filed.
 */
export async function fileChanges(
  client: ClientBase,
  schema: string,
  consumerId: string,
  changes: readonly DeliveryChange[],
): Promise<void> {
  if (changes.length === 0) return;
  const file = (some: readonly DeliveryChange[], hasCopy = true) =>
    inSavepoint(client, () => upsert(client, schema, { consumerId, changes: some, hasCopy }));
  const refused = await file(changes);
  if (!refused) return;
  for (const change of changes) {
    if (!(await file([change]))) continue;
    // The log keeps notifications whose delivery has no copy.
    const reason = await file([change], false);
    if (!reason) continue;
    const final = await file([withoutError(change, reason)], false);
    if (final) throw final;
  }
}

/** @returns the error if the server refuses a value; nothing has changed then */
async function inSavepoint(
  client: ClientBase,
  work: () => Promise<void>,
): Promise<Error | undefined> {
  await client.query('savepoint filing');
  try {
    await work();
  } catch (thrown) {
    if (!REFUSED.test(errorCodeOf(thrown) ?? '')) throw thrown;
    await client.query('rollback to savepoint filing; release savepoint filing');
    return toError(thrown);
  }
  await client.query('release savepoint filing');
  return undefined;
}

function withoutError(change: DeliveryChange, { message }: Error): DeliveryChange {
  if (!('error' in change) || change.error === null) return change;
  const { name } = change.error;
  return { ...change, error: { name, message: `its error cannot be stored: ${message}` } };
}

async function upsert(
  client: ClientBase,
  schema: string,
  filing: { consumerId: string; changes: readonly DeliveryChange[]; hasCopy: boolean },
): Promise<void> {
  const { consumerId, changes, hasCopy } = filing;
  await client.query(upsertSql(schema), [
    consumerId,
    changes.map((change) => change.notificationId),
    changes.map((change) => change.state),
    // No nulls: a session with array_nulls off, as a handler may have set it, would read them as
    // texts.
    changes.map(({ key }) => key ?? ''),
    changes.map(({ key }) => key !== null),
    changes.map((change) => ('attempts' in change ? change.attempts : 0)),
    changes.map((change) => (change.state === 'retry' ? change.delayMs : 0)),
    changes.map((change) =>
      'error' in change && change.error ? JSON.stringify(change.error) : '',
    ),
    changes.map((change) => change.state === 'retry' && change.isSuspect === true),
    changes.map((change) => change.state === 'retry' && change.isGrouped === true),
    changes.map(calledAttemptOf),
    hasCopy,
  ]);
}

function upsertSql(schema: string): string {
  const log = qualified(schema, 'notification_log');
  return `
insert into ${qualified(schema, 'delivery')} as delivery
  (consumer_id, notification_id, state, key, attempts, next_attempt_at, called_attempt, is_suspect,
   is_grouped, first_failed_at, last_failed_at, first_error, last_error,
   notification, payload, old_row, new_row)
select $1, c.id, c.state, case when c.has_key then c.key end, c.attempts,
  case c.state when 'retry' then clock_timestamp() + c.delay_ms * interval '1 ms' end,
  nullif(c.called_attempt, 0),
  c.is_suspect, c.is_grouped, failed_at, failed_at,
  nullif(c.error, '')::jsonb, nullif(c.error, '')::jsonb,
  copied.notification, copied.payload, copied.old_row, copied.new_row
from unnest(
  $2::bigint[], $3::text[], $4::text[], $5::boolean[], $6::integer[], $7::float8[], $8::text[],
  $9::boolean[], $10::boolean[], $11::integer[]
) as c (id, state, key, has_key, attempts, delay_ms, error, is_suspect, is_grouped,
  called_attempt)
cross join lateral (select case when c.error <> '' then clock_timestamp() end as failed_at) as f
left join lateral (
  select ${qualified(schema, 'delivery_notification')}(log) as notification,
    payload, old_row, new_row
  from ${log} as log where c.state = 'dead' and $12::boolean and log.id = c.id limit 1
) as copied on true
on conflict (consumer_id, notification_id) do update
set state = excluded.state,
  attempts = excluded.attempts,
  next_attempt_at = excluded.next_attempt_at,
  called_attempt = excluded.called_attempt,
  is_suspect = excluded.is_suspect,
  is_grouped = excluded.is_grouped,
  first_failed_at = coalesce(delivery.first_failed_at, excluded.first_failed_at),
  last_failed_at = coalesce(excluded.last_failed_at, delivery.last_failed_at),
  first_error = coalesce(delivery.first_error, excluded.first_error),
  last_error = coalesce(excluded.last_error, delivery.last_error),
  notification = coalesce(delivery.notification, excluded.notification),
  payload = coalesce(delivery.payload, excluded.payload),
  old_row = coalesce(delivery.old_row, excluded.old_row),
  new_row = coalesce(delivery.new_row, excluded.new_row)`;
}

/**
 * A bad value, a violated constraint, or an impossible size: errors that another attempt would not
 * fix.
 */
const REFUSED = /^(22|23|54)|^53200$/;
