import type { Notification } from '../log/notification.ts';
import { describeAge } from './describe.ts';
import { jsonText, onOneLine } from './table.ts';

/** A notification for people, a field a line, the payload as indented JSON. */
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

/** '  name          value', on one line whatever the value is. */
export function field(name: string, value: string): string {
  return `  ${name.padEnd(FIELD_WIDTH)}${onOneLine(value)}`.trimEnd();
}

/** A time, and how long ago it is. */
export function timeField(name: string, time: Date | null): string {
  return field(name, time ? `${time.toISOString()}, ${describeAge(time)}` : '-');
}

/** Deeper than our own lines, so that no text of others looks like one. */
export function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}

const FIELD_WIDTH = 14;
