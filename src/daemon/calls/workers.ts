import type { Settled, Task } from './task.ts';

/** What works tasks off: several calls side by side, or one transaction after the other. */
export interface Workers {
  /** How many tasks wait that come for the first time. */
  readonly waitingCount: number;
  push(tasks: readonly Task[]): void;
  /** For tasks that come again. */
  pushFirst(tasks: readonly Task[]): void;
  /** Settles what is not called. */
  skip(settled: readonly Settled[]): void;
  /** While it is paused, only what comes again is called. */
  pause(isPaused: boolean): void;
  /** Files what takes long, if it can be settled beside what runs. */
  fileSlow(): void;
  /**
   * A position has moved past what nobody wants: workers that settle in transactions save it within
   * a second.
   */
  savePositionLazily(): void;
  /** Starts nothing any more; what runs is let finish. */
  close(): void;
  /**
   * Resolves once the condition holds, or it is closed; it is looked at after every call. Rejects
   * where working has failed.
   */
  until(isMet: () => boolean): Promise<void>;
  /**
   * Resolves once nothing runs, nor waits unless it is closed. Rejects where working has failed.
   */
  untilIdle(): Promise<void>;
}
