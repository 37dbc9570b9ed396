/** What a daemon does, as stored in its row; for display. */
export type DaemonActivity = {
  version: string;
  /** doorbell: notifications wake it. poll: it looks for them every pollMs. */
  mode: 'doorbell' | 'poll';
  pollMs: number;
  /** The consumers that it runs now, by id. */
  consumers: Record<string, ConsumerActivity>;
};

/** What one daemon does for one consumer; for a shared consumer, its own part only. */
export type ConsumerActivity = {
  state: ConsumerState;
  /**
   * Notifications settled per second, over about the last ten seconds; null in the first two
   * seconds.
   */
  rate: number | null;
  /** How many were settled since the process started. */
  handled: number;
  lastError: ActivityError | null;
};

/**
 * catching up  reads what was missed, or has fallen behind the tail
 * tail         follows the newest end of the log
 * stopped      takes nothing new until a dead letter is retried or discarded
 * retrying     takes nothing new: too many notifications wait for a retry
 * finishing    takes nothing new, and waits for running handlers
 */
export type ConsumerState = 'catching up' | 'tail' | 'stopped' | 'retrying' | 'finishing';

/** The last failure of a handler since the process started, whatever its outcome. */
export type ActivityError = { name: string; message: string; notificationId: number; at: string };
