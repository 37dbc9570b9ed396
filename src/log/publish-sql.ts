import { qualified } from '../database/names.ts';

/** A statement whose parameters are texts or null, which every library can send. */
export type NotifyQuery = { text: string; values: (string | null)[] };

/** What is published, checked. */
export type CheckedNotification = {
  channel: string;
  json: string;
  key: string | null;
  eventId: string | null;
};

/**
 * The statement that publishes notifications, in the given order. It returns a row for each, with
 * the column id. Its parameters occur once each, in order: some libraries count them that way.
 */
export function publishSql(
  apiSchema: string,
  notifications: readonly [CheckedNotification, ...CheckedNotification[]],
): NotifyQuery {
  const [first, ...others] = notifications;
  return others.length === 0 ? publishOne(apiSchema, first) : publishMany(apiSchema, notifications);
}

/** Each value is cast from text, because drivers encode it after the type of its parameter. */
function publishOne(
  apiSchema: string,
  { channel, json, key, eventId }: CheckedNotification,
): NotifyQuery {
  return {
    text: `select ${qualified(apiSchema, 'smart_notify')}(
        $1::pg_catalog.text, $2::pg_catalog.text::pg_catalog.jsonb,
        $3::pg_catalog.text, $4::pg_catalog.text::pg_catalog.uuid
      )::pg_catalog.text as id`,
    values: [channel, json, key, eventId],
  };
}

/** Event ids that others may also publish have to be taken in an order that all agree on. */
function publishMany(
  apiSchema: string,
  notifications: readonly CheckedNotification[],
): NotifyQuery {
  const values = [
    notifications.map(({ channel }) => channel),
    notifications.map(({ json }) => json),
    // No nulls: with array_nulls off, the server would read them as texts.
    notifications.map(({ key }) => key ?? ''),
    notifications.map(({ key }) => String(key !== null)),
    notifications.map(({ eventId }) => eventId ?? ''),
  ].map(arrayText);
  const given = `rows from (
    ${unnest('$1', 'text')}, ${unnest('$2', 'text')}, ${unnest('$3', 'text')},
    ${unnest('$4', 'bool')}, ${unnest('$5', 'text')}
  )`;
  const key = 'case when n.has_key then n.key end';
  const eventId = `nullif(n.event_id, '')::pg_catalog.uuid`;
  if (notifications.filter(({ eventId: event }) => event !== null).length > 1) {
    const inOrder = (value: string) => `pg_catalog.array_agg(${value} order by n.place)`;
    const text = `select pg_catalog.unnest(${qualified(apiSchema, 'smart_notify_many')}(
        ${inOrder('n.channel')}, ${inOrder('n.payload::pg_catalog.jsonb')},
        ${inOrder(key)}, ${inOrder(eventId)}
      ))::pg_catalog.text as id
      from ${given} with ordinality as n (channel, payload, key, has_key, event_id, place)`;
    return { text, values };
  }
  // The function is called in the order of the array: unnest keeps it, and nothing sorts.
  const text = `select ${qualified(apiSchema, 'smart_notify')}(
      n.channel, n.payload::pg_catalog.jsonb, ${key}, ${eventId})::pg_catalog.text as id
    from ${given} as n (channel, payload, key, has_key, event_id)`;
  return { text, values };
}

/** From text, like the values of one notification. */
function unnest(parameter: string, type: string): string {
  return `pg_catalog.unnest(${parameter}::pg_catalog.text::pg_catalog.${type}[])`;
}

/** An array as PostgreSQL writes it. */
function arrayText(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
