import type { Poison } from '../writers/transaction.ts';
import type { ByHand } from './by-hand.ts';

/** How a transaction ended, as far as its writer knows. */
export type Outcome = 'committed' | 'aborted' | 'unknown';

/** What a writer published: a token that is unique, and how its transaction ended. */
export type Attempt = { token: string; outcome: Outcome };

/**
 * What a handler did, in the order in which all handlers of all processes did it: it was called, it
 * returned, it threw. Among it, which dead letters were about to be revived.
 */
export type Handling = {
  at: 'begun' | 'done' | 'failed' | 'revived';
  consumer: string;
  token: string;
  /** The process that it ran in. */
  pid: number;
};

/**
 * A row of the log as it is when all is over. Notifications of one key are committed in the order
 * of their sequence.
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

/** A notification that was given up on, and is kept; with the error that is kept with it. */
export type DeadLetter = { consumer: string; token: string; error: string };

/** What a consumer promises. */
export type Promised = {
  id: string;
  order: 'key' | 'none';
  /** exactly once: every notification leaves one row, written in the handler's transaction. */
  effects: 'at least once' | 'exactly once';
  /**
   * Never two calls of a key at once, in all processes together. Cannot be promised where a process
   * is frozen or cut off: it finds out only afterwards that its work is another's.
   */
  neverOverlaps?: boolean;
};

/** All that is known of a round. Attempts and handlings were recorded outside of the database. */
export type History = {
  consumers: readonly Promised[];
  attempts: readonly Attempt[];
  handlings: readonly Handling[];
  stored: readonly Stored[];
  effects: readonly Effect[];
  deadLetters: readonly DeadLetter[];
  /** What somebody did by hand to positions and deliveries. */
  byHand: readonly ByHand[];
  /** Positions that were saved although a later one had been saved before. */
  setbacks: readonly string[];
  /**
   * Tokens that a promoted standby did not have: PostgreSQL has lost their commits, if there were
   * any.
   */
  takenBack: readonly string[];
};
