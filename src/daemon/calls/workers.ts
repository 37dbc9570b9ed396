import type { Settled, Task } from './task.ts';

/** Handles tasks: several calls concurrently, or one transaction after the other. */
export interface Workers {
  /** How many tasks wait for their first call. */
  readonly waitingCount: number;
  push(tasks: readonly Task[]): void;
  /** Adds retries. */
  pushFirst(tasks: readonly Task[]): void;
  /** Settles tasks without a call. */
  skip(settled: readonly Settled[]): void;
  /** While it is paused, only retries are called. */
  pause(isPaused: boolean): void;
  /** Files slow calls, if they can be settled independently of the others. */
  fileSlow(): void;
  /**
   * The position has moved past notifications that the consumer does not want: workers that settle
   * in transactions save it within a second.
   */
  savePositionLazily(): void;
  /** Starts no more calls; running ones finish. */
  close(): void;
  /**
   * Resolves once the condition is true, or it is closed; the condition is checked after every
   * call. Rejects if working has failed.
   */
  until(isMet: () => boolean): Promise<void>;
  /**
   * Resolves once nothing runs and, unless it is closed, nothing waits. Rejects if working has
   * failed.
   */
  untilIdle(): Promise<void>;
}
