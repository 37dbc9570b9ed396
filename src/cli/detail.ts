import { field, indented, jsonText, timeField } from '../lines.ts';
import type { LogNotification } from '../log/notification.ts';

/** A notification for people: one field per line, the payload as indented JSON. */
export function describeNotification(notification: LogNotification): string {
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
export function payloadField({ payload, unreadable }: LogNotification): string {
  return `${field('payload', '')}\n${indented(unreadable ?? jsonText(payload, 2))}`;
}
