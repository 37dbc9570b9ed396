/** What a daemon does, as it stands in its row, for people who look. */
export type DaemonActivity = {
  version: string;
  /** Whether notifications wake it, or it looks for them every pollMs. */
  mode: 'doorbell' | 'poll';
  pollMs: number;
  /** Those that it runs now, by id. */
  consumers: Record<string, ConsumerActivity>;
};

/** What one daemon does for one consumer: of a shared consumer its own part. */
export type ConsumerActivity = {
  state: ConsumerState;
  /**
   * Notifications a second that were settled, over the last ten seconds or so; null in the first
   * two.
   */
  rate: number | null;
  /** How many were settled since the process began. */
  handled: number;
  lastError: ActivityError | null;
};

/**
 * catching up  reads what was missed, or has fallen behind the tail
 * tail         follows the newest end of the log
 * stopped      takes nothing new until somebody decides about a dead letter
 * retrying     takes nothing new: too many notifications wait for a retry
 * finishing    starts nothing more, and waits for running handlers
 */
export type ConsumerState = 'catching up' | 'tail' | 'stopped' | 'retrying' | 'finishing';

/** The last failure of a handler since the process began, whatever has become of it. */
export type ActivityError = { name: string; message: string; notificationId: number; at: string };
