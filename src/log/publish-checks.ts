import { PgwatchError, toError } from '../errors.ts';
import { isObject } from '../kinds.ts';
import { onlyKnown } from '../suggest.ts';
import type { CheckedNotification } from './publish-sql.ts';

/** A notification to publish, whose payload is already JSON text. */
export type Unchecked = {
  channel: string;
  json: string;
  key?: string | null;
  eventId?: string | null;
};

/** @throws PgwatchError channel_invalid, input_invalid */
export function checked({ channel, json, key, eventId }: Unchecked): CheckedNotification {
  return {
    channel: checkedChannel(channel),
    json,
    key: checkedKey(key ?? null),
    eventId: checkedEventId(eventId ?? null),
  };
}

/** @throws PgwatchError input_invalid */
export function objectOf<T>(value: T, what: string): T {
  if (isObject(value)) return value;
  throw notAs(what, 'an object', value);
}

/**
 * The options given, if all of them exist.
 * @param of what takes them, like "notify()"
 * @throws PgwatchError input_invalid
 */
export function givenOptions<T extends object>(
  given: T | null,
  known: readonly string[],
  of: string,
): Partial<T> {
  return onlyKnown(objectOf<Partial<T>>(given ?? {}, 'Options are'), known, of);
}

export function notAs(what: string, expected: string, value: unknown): PgwatchError {
  const given = Array.isArray(value) ? 'an array' : value === null ? 'null' : typeof value;
  return new PgwatchError('input_invalid', `${what} ${expected}, not ${given}.`);
}

/**
 * The payload as JSON text that jsonb can hold.
 * @throws PgwatchError payload_invalid
 */
export function toJson(payload: unknown): string {
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

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
