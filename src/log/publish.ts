import { type PublishClient, queryRows } from '../database/query-rows.ts';
import { fromSqlError, SQLSTATE, serverErrorIn } from '../database/sqlstate.ts';
import { noteConnection } from '../database/transaction-scope.ts';
import { PgwatchError } from '../errors.ts';
import { onlyKnown } from '../suggest.ts';
import { usualApiSchema } from './api-schema.ts';
import { safeId } from './notification.ts';
import {
  checked,
  givenOptions,
  notAs,
  objectOf,
  toJson,
  type Unchecked,
} from './publish-checks.ts';
import { type NotifyQuery, publishSql } from './publish-sql.ts';

export type PublishOptions = {
  /** What it is about; notifications with the same key keep their order. Default: no key. */
  key?: string | null;
  /** A uuid chosen by the publisher; publishing it again does nothing. Default: derived. */
  eventId?: string | null;
};

export type NewNotification = PublishOptions & { channel: string; payload: unknown };

/** The names of PublishOptions. */
export const PUBLISH_OPTIONS = ['key', 'eventId'];
const FIELDS = ['channel', 'payload', ...PUBLISH_OPTIONS];

/** The options of notify() and notifyQuery(). */
type Options = PublishOptions & { apiSchema?: string | undefined };

/**
 * Publishes a notification through any pg client or pool, or in a transaction of another library
 * (see pgwatch/adapters). With a client, it is part of the caller's transaction: it is delivered
 * if, and only if, that transaction commits. With a pool, it is published at once.
 * @param channel 1 to 63 bytes
 * @param payload anything that JSON can hold
 * @param options.apiSchema the schema of smart_notify; default 'public', or that of a TestPgwatch
 * @returns the notification's id
 * @throws PgwatchError channel_invalid, payload_invalid, input_invalid, event_id_taken,
 *   permission_denied, schema_missing
 */
export async function notify(
  client: PublishClient,
  channel: string,
  payload: unknown,
  options: Options | null = {},
): Promise<number> {
  const { notification, apiSchema } = readNotify('notify()', channel, payload, options);
  const [id] = await publishTexts(client, [notification], apiSchema);
  return id as number;
}

/**
 * The statement with which notify() publishes, for a library that pgwatch/adapters does not know:
 * run it in your transaction. It returns one row with the notification's id, as text, in the column
 * id. Its values are strings or null; $1 to $4 occur once each, in order.
 * @param channel 1 to 63 bytes
 * @param payload anything that JSON can hold
 * @param options.apiSchema the schema of smart_notify; default 'public', or that of a TestPgwatch
 * @throws PgwatchError channel_invalid, payload_invalid, input_invalid
 */
export function notifyQuery(
  channel: string,
  payload: unknown,
  options: Options | null = {},
): NotifyQuery {
  const { notification, apiSchema } = readNotify('notifyQuery()', channel, payload, options);
  return publishSql(apiSchema, [checked(notification)]);
}

/**
 * Publishes many notifications in one statement, in the given order: all of them or none.
 * Publishers of the same event ids do not deadlock, whatever order they use, unless one
 * transaction publishes several times.
 * @returns their ids
 * @throws as notify
 */
export async function notifyMany(
  client: PublishClient,
  notifications: readonly NewNotification[],
  options: { apiSchema?: string } | null = {},
): Promise<number[]> {
  if (!Array.isArray(notifications)) throw notAs('notifyMany() takes', 'an array', notifications);
  const texts = notifications.map((each: NewNotification) => {
    const given = onlyKnown(objectOf(each, 'A notification is'), FIELDS, 'a notification');
    const { payload, ...rest } = given;
    return { ...rest, json: toJson(payload) };
  });
  const given = givenOptions(options, ['apiSchema'], 'notifyMany()');
  return publishTexts(client, texts, given.apiSchema ?? usualApiSchema());
}

function readNotify(of: string, channel: string, payload: unknown, options: Options | null) {
  const given = givenOptions(options, [...PUBLISH_OPTIONS, 'apiSchema'], of);
  const { apiSchema = usualApiSchema(), ...published } = given;
  return { notification: { ...published, channel, json: toJson(payload) }, apiSchema };
}

/**
 * Like notifyMany, for payloads that are already JSON text; numbers keep all their digits.
 * @throws as notify
 */
export async function publishTexts(
  client: PublishClient,
  notifications: readonly Unchecked[],
  apiSchema: string,
): Promise<number[]> {
  const [first, ...others] = notifications.map(checked);
  if (!first) return [];
  const { text, values } = publishSql(apiSchema, [first, ...others]);
  noteConnection(client);
  try {
    const rows = await queryRows(client, text, values);
    return rows.map(({ id }) => safeId(String(id)));
  } catch (thrown) {
    throw explain(thrown);
  }
}

function explain(thrown: unknown): Error {
  const { code } = serverErrorIn(thrown);
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

/** Errors for payloads that JSON allows and jsonb does not. */
const PAYLOAD_FAULTS: Record<string, string> = {
  '22P05': 'jsonb cannot hold the character \\u0000',
  '22P02': 'it holds half of a surrogate pair or is not valid JSON',
  '54000': 'it is larger than the 256 MB that jsonb can hold',
  '54001': 'it is nested too deeply (see max_stack_depth)',
  '22003': 'it holds a number that jsonb cannot hold',
};
