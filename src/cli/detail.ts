import { field, indented, jsonText, timeField } from '../lines.ts';
import type { Notification } from '../log/notification.ts';

/** A notification for people: one field per line, the payload as indented JSON. */
export function describeNotification(notification: Notification): string {
  const { eventId, channel, key, createdAt } = notification;
  return [
    field('channel', channel),
    field('key', key ?? '-'),
    field('event id', eventId),
    timeField('created', createdAt),
    payloadField(notification),
  ].join('\n');
}

/** The payload as indented JSON, or why it cannot be shown. */
export function payloadField({ payload, unreadable }: Notification): string {
  return `${field('payload', '')}\n${indented(unreadable ?? jsonText(payload, 2))}`;
}
