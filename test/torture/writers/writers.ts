import { join } from 'node:path';
import type { Attempt, Outcome } from '../history/history.ts';
import { RecordWriter } from '../history/record.ts';
import { runRacingWriter } from './racing-writer.ts';
import { runRetryingWriter } from './retrying-writer.ts';
import type { Poison } from './transaction.ts';

export type WriterOptions = {
  url: string;
  folder: string;
  seed: number;
  /** How many write in racing transactions. */
  racing: number;
  /** How many publish each notification repeatedly until they have an answer. */
  retrying: number;
  /** How many keys the racing writers share. */
  keys: number;
  /** The share of each poison among the notifications. */
  poison: Partial<Record<Poison, number>>;
  /** What is recorded for a transaction whose end is never learned. Right: 'unknown'. */
  belief: Outcome;
  /** What a retry is published with. Right: the event id of the first try. */
  retryWith: 'its event id' | 'no event id';
};

/** Where a writer records what it publishes. */
export type WriterTools = { record: RecordWriter<Attempt>; index: number; stop: AbortSignal };

/**
 * Writes until the signal aborts, whatever happens to the connections. What each transaction tried
 * and how it ended is appended to a file.
 */
export async function runWriters(options: WriterOptions, stop: AbortSignal): Promise<void> {
  const record = new RecordWriter<Attempt>(join(options.folder, 'attempts.jsonl'));
  const start = (count: number, run: typeof runRacingWriter) =>
    Array.from({ length: count }, (_, index) => run(options, { record, index, stop }));
  await Promise.all([
    ...start(options.racing, runRacingWriter),
    ...start(options.retrying, runRetryingWriter),
  ]);
  record.close();
}
