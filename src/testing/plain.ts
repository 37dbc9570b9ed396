import type { Notification } from '../log/notification.ts';

/**
 * A copy that has everything as fields of its own. Those of a notification are computed when they
 * are needed, so comparing or printing it would miss them.
 */
export function plain(notification: Notification): Notification {
  const { id, eventId, channel, key, payload, change, createdAt, isReplay, attempt } = notification;
  return { id, eventId, channel, key, payload, change, createdAt, isReplay, attempt };
}
