import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import { queryRows } from '../database/query-rows.ts';
import { fromSqlError, SQLSTATE } from '../database/sqlstate.ts';
import { noteConnection } from '../database/transaction-scope.ts';
import { errorCodeOf, PgwatchError, toError } from '../errors.ts';
import { safeId } from './notification.ts';

export type PublishOptions = {
  /** What it is about; notifications with the same key keep their order. Default: no key. */
  key?: string | null;
  /** A uuid chosen by the publisher; publishing it again does nothing. Default: derived. */
  eventId?: string | null;
};

export type NewNotification = PublishOptions & { channel: string; payload: unknown };

/**
 * Publishes a notification through any pg client or pool. With a client, it is part of the caller's
 * transaction: it is delivered if, and only if, that transaction commits.
 * @param channel 1 to 63 bytes
 * @param payload anything that JSON can hold
 * @param options.apiSchema the schema of smart_notify; default 'public'
 * @returns the notification's id
 * @throws PgwatchError channel_invalid, payload_invalid, input_invalid, event_id_taken,
 *   permission_denied, schema_missing
 */
export async function notify(
  client: Queryable,
  channel: string,
  payload: unknown,
  options: (PublishOptions & { apiSchema?: string | undefined }) | null = {},
): Promise<number> {
  const { apiSchema, ...published } = objectOf(options ?? {}, 'Options are');
  const [id] = await notifyMany(client, [{ channel, payload, ...published }], {
    ...(apiSchema === undefined ? {} : { apiSchema }),
  });
  return id as number;
}

/**
 * Publishes many notifications in one statement, in the given order: all of them or none.
 * Publishers of the same event ids do not deadlock, whatever order they use, unless one
 * transaction publishes several times.
 * @returns their ids
 * @throws as notify
 */
export async function notifyMany(
  client: Queryable,
  notifications: readonly NewNotification[],
  options: { apiSchema?: string } | null = {},
): Promise<number[]> {
  if (!Array.isArray(notifications)) throw notAs('notifyMany() takes', 'an array', notifications);
  const texts = notifications.map((each: NewNotification) => {
    const { payload, ...rest } = objectOf(each, 'A notification is');
    return { ...rest, json: toJson(payload) };
  });
  const { apiSchema } = objectOf(options ?? {}, 'Options are');
  return publishTexts(client, texts, apiSchema ?? 'public');
}

function objectOf<T>(value: T, what: string): T {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw notAs(what, 'an object', value);
}

function notAs(what: string, expected: string, value: unknown): PgwatchError {
  const given = Array.isArray(value) ? 'an array' : value === null ? 'null' : typeof value;
  return new PgwatchError('input_invalid', `${what} ${expected}, not ${given}.`);
}

/**
 * Like notifyMany, for payloads that are already JSON text; numbers keep all their digits.
 * @throws as notify
 */
export async function publishTexts(
  client: Queryable,
  notifications: readonly (Omit<NewNotification, 'payload'> & { json: string })[],
  apiSchema: string,
): Promise<number[]> {
  if (notifications.length === 0) return [];
  const keys = notifications.map(({ key }) => checkedKey(key ?? null));
  const values = [
    notifications.map(({ channel }) => checkedChannel(channel)),
    notifications.map(({ json }) => json),
    // No nulls: with array_nulls off, the server would read them as texts.
    keys.map((key) => key ?? ''),
    keys.map((key) => key !== null),
    notifications.map(({ eventId }) => checkedEventId(eventId ?? null) ?? ''),
  ];
  noteConnection(client);
  try {
    const rows = await queryRows(client, publishSql(apiSchema, notifications), values);
    return rows.map(({ id }) => safeId(String(id)));
  } catch (thrown) {
    throw explain(thrown);
  }
}

/**
 * Event ids that others may also publish have to be taken in an order that all agree on. The arrays
 * contain no nulls, because array_nulls would change them.
 */
function publishSql(apiSchema: string, notifications: readonly PublishOptions[]): string {
  const given = `rows from (
    pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]),
    pg_catalog.unnest($3::pg_catalog.text[]), pg_catalog.unnest($4::pg_catalog.bool[]),
    pg_catalog.unnest($5::pg_catalog.text[])
  )`;
  const key = 'case when n.has_key then n.key end';
  const eventId = `nullif(n.event_id, '')::pg_catalog.uuid`;
  if (notifications.filter(({ eventId: event }) => event != null).length > 1) {
    const inOrder = (value: string) => `pg_catalog.array_agg(${value} order by n.place)`;
    return `select pg_catalog.unnest(${qualified(apiSchema, 'smart_notify_many')}(
        ${inOrder('n.channel')}, ${inOrder('n.payload::pg_catalog.jsonb')},
        ${inOrder(key)}, ${inOrder(eventId)}
      ))::pg_catalog.text as id
      from ${given} with ordinality as n (channel, payload, key, has_key, event_id, place)`;
  }
  // The function is called in the order of the array: unnest keeps it, and nothing sorts.
  return `select ${qualified(apiSchema, 'smart_notify')}(
      n.channel, n.payload::pg_catalog.jsonb, ${key}, ${eventId})::pg_catalog.text as id
    from ${given} as n (channel, payload, key, has_key, event_id)`;
}

function checkedChannel(channel: unknown): string {
  if (isStorable(channel)) return channel;
  throw new PgwatchError(
    'channel_invalid',
    `A channel is a name of 1 to 63 bytes without NUL, not ${JSON.stringify(channel)}.`,
  );
}

function checkedKey(key: unknown): string | null {
  if (key === null || isStorable(key)) return key;
  throw new PgwatchError(
    'input_invalid',
    `A key is a string without NUL, not ${JSON.stringify(key)}.`,
  );
}

function checkedEventId(eventId: unknown): string | null {
  if (eventId === null || (typeof eventId === 'string' && UUID.test(eventId))) return eventId;
  throw new PgwatchError('input_invalid', `An event id is a uuid, not ${JSON.stringify(eventId)}.`);
}

/** PostgreSQL text cannot hold NUL, and half a surrogate pair would become another character. */
function isStorable(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0') && value.isWellFormed();
}

/** The payload as JSON text that jsonb can hold. */
function toJson(payload: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(payload === undefined ? {} : payload);
  } catch (cause) {
    throw new PgwatchError(
      'payload_invalid',
      `The payload is not JSON: ${toError(cause).message.split('\n')[0]}.`,
      { cause },
    );
  }
  if (text === undefined) {
    throw new PgwatchError(
      'payload_invalid',
      `The payload is not JSON: it is a ${typeof payload}.`,
    );
  }
  return text;
}

function explain(thrown: unknown): Error {
  const code = errorCodeOf(thrown) ?? '';
  if (code === SQLSTATE.undefinedFunction || code === SQLSTATE.undefinedSchema) {
    return new PgwatchError(
      'schema_missing',
      'The database has no function smart_notify. Run "pgwatch migrate".',
      { cause: thrown },
    );
  }
  const reason = PAYLOAD_FAULTS[code];
  if (!reason) return fromSqlError(thrown);
  return new PgwatchError('payload_invalid', `The payload cannot be stored: ${reason}.`, {
    cause: thrown,
  });
}

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Errors for payloads that JSON allows and jsonb does not. */
const PAYLOAD_FAULTS: Record<string, string> = {
  '22P05': 'jsonb cannot hold the character \\u0000',
  '22P02': 'it holds half of a surrogate pair or is not valid JSON',
  '54000': 'it is larger than the 256 MB that jsonb can hold',
  '54001': 'it is nested too deeply (see max_stack_depth)',
  '22003': 'it holds a number that jsonb cannot hold',
};
