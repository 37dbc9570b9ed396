import type { Notification } from '../log/notification.ts';

/** What became of the notifications that a consumer was given. */
export type Drained<Received extends Notification = Notification> = {
  /** Those that it handled, in the order in which it did. */
  handled: Received[];
  /** The attempts that failed, in order. */
  failed: FailedAttempt<Received>[];
  /** Those that became dead letters, in order of id. */
  dead: { id: number; attempts: number; error: string; notification: Notification | null }[];
};

/** An attempt that failed. */
export type FailedAttempt<Received extends Notification = Notification> = {
  notification: Received;
  attempt: number;
  error: Error;
};

/** The notifications that the handler of a consumer receives. */
export type ReceivedBy<Definition> = Definition extends {
  handle(received: infer Received, ...context: never): unknown;
}
  ? Known<Received>
  : Definition extends { handleBatch(received: (infer Received)[], ...context: never): unknown }
    ? Known<Received>
    : Notification;

/** Handlers need not declare what they receive. */
type Known<Received> = Received extends Notification ? Received : Notification;
