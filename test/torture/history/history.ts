import type { Poison } from '../writers/transaction.ts';
import type { ByHand } from './by-hand.ts';

/** How a transaction ended, as its writer knows it. */
export type Outcome = 'committed' | 'aborted' | 'unknown';

/** What a writer published: a unique token, and how its transaction ended. */
export type Attempt = { token: string; outcome: Outcome };

/**
 * What a handler did, in order over all handlers and processes: it was called, it returned, it
 * threw, it refused the notification for good. It also records which dead letters are about to be
 * revived.
 */
export type Handling = {
  at: 'begun' | 'done' | 'failed' | 'refused' | 'revived';
  consumer: string;
  token: string;
  /** The process that it ran in. */
  pid: number;
};

/**
 * A row of the log at the end. Notifications of one key were committed in the order of their
 * sequence.
 */
export type Stored = {
  token: string;
  key: string | null;
  sequence: number;
  /** What it does to its handlers; null: nothing. */
  poison: Poison | null;
};

/** A row that a handler wrote in its transaction, in the order of writing. */
export type Effect = { consumer: string; token: string };

/** A dead letter with its stored error. */
export type DeadLetter = { consumer: string; token: string; error: string };

/** What a consumer promises. */
export type Promised = {
  id: string;
  order: 'key' | 'none';
  /** exactly once: every notification leaves one row, written in the handler's transaction. */
  effects: 'at least once' | 'exactly once';
  /**
   * Never two calls of a key at once, over all processes. It cannot be promised if a process is
   * frozen or cut off: the process learns only afterwards that another has taken over its work.
   */
  neverOverlaps?: boolean;
};

/** Everything known about a round. Attempts and handlings were recorded outside the database. */
export type History = {
  consumers: readonly Promised[];
  attempts: readonly Attempt[];
  handlings: readonly Handling[];
  stored: readonly Stored[];
  effects: readonly Effect[];
  deadLetters: readonly DeadLetter[];
  /** Manual operations on positions and deliveries. */
  byHand: readonly ByHand[];
  /** Positions that were saved although a later one had been saved before. */
  setbacks: readonly string[];
  /** Tokens that a promoted standby did not have: PostgreSQL has lost their commits, if any. */
  takenBack: readonly string[];
};
