import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Random } from '../../racing/random.ts';
import type { Attempt, Outcome } from '../history/history.ts';
import type { WriterOptions } from './writers.ts';

/** The payload of a torture notification. */
export type Payload = { token: string; key: string | null; sequence: number; poison?: Poison };

/** What a notification does to its handler. */
export type Poison =
  | 'throws'
  | 'throws once'
  | 'throws until it is fixed'
  | 'asks to be called later'
  | 'is refused'
  | 'never returns'
  | 'loses its backend'
  | 'kills';

export type TransactionOptions = Pick<WriterOptions, 'keys' | 'poison'> & {
  client: Client;
  random: Random;
  /** The beginning of every token of the transaction. */
  name: string;
  /** Called before COMMIT is sent: from then on the outcome is unknown until it is answered. */
  onCommit(attempts: readonly Attempt[]): void;
};

/**
 * Publishes one to three notifications in a transaction that is short or held; that commits,
 * aborts, or rolls back to a savepoint; and that pauses between taking the xid, publishing and its
 * end.
 * @returns what was tried and how it ended, according to the server
 */
export async function runTransaction(options: TransactionOptions): Promise<Attempt[]> {
  const { client, random } = options;
  const attempts: Attempt[] = [];
  await client.query('begin');
  await client.query(`set local pgwatch.notify = '${random() < 0.5 ? 'doorbell' : 'always'}'`);
  // The xid first and the ids later: the order of xids differs from that of ids.
  if (random() < 0.3) await client.query('select pg_current_xact_id()');
  await pause(random);
  for (const [index, key] of chooseKeys(options).entries()) {
    const hasSavepoint = random() < 0.3;
    if (hasSavepoint) await client.query('savepoint s');
    const token = `${options.name}.${index}`;
    await publish(options, token, key);
    const isUndone = hasSavepoint && random() < 0.5;
    if (isUndone) await client.query('rollback to savepoint s');
    attempts.push({ token, outcome: isUndone ? 'aborted' : 'unknown' });
    await pause(random);
  }
  if (random() < 0.15) {
    await client.query('rollback');
    return settle(attempts, 'aborted');
  }
  options.onCommit(attempts);
  const { command } = await client.query('commit');
  // A failed transaction answers COMMIT with ROLLBACK.
  return settle(attempts, command === 'COMMIT' ? 'committed' : 'aborted');
}

/** The attempts, with an outcome for those that were not undone before. */
export function settle(attempts: readonly Attempt[], outcome: Outcome): Attempt[] {
  return attempts.map((attempt) =>
    attempt.outcome === 'unknown' ? { ...attempt, outcome } : attempt,
  );
}

/** In order, so that writers do not deadlock. Null: without a key. */
function chooseKeys({ random, keys }: TransactionOptions): (string | null)[] {
  const count = 1 + Math.floor(random() * 3);
  const chosen = Array.from({ length: count }, () => Math.floor(random() * keys)).sort(
    (a, b) => a - b,
  );
  return chosen.map((number) => (random() < 0.1 ? null : `k${number}`));
}

/** The key's row stays locked until the end, so the sequence is the order of commits. */
async function publish(options: TransactionOptions, token: string, key: string | null) {
  const poison = choosePoison(options);
  const payload = { token, key, sequence: 0, ...(poison ? { poison } : {}) };
  await options.client.query(
    `with next as (
       insert into torture.key as known (key, sequence) select $2, 1 where $2::text is not null
       on conflict (key) do update set sequence = known.sequence + 1 returning sequence)
     select smart_notify('torture',
       $1::jsonb || jsonb_build_object('sequence', coalesce((select sequence from next), 0)), $2)`,
    [payload, key],
  );
}

function choosePoison({ random, poison }: TransactionOptions): Poison | undefined {
  let dice = random();
  for (const [kind, share] of Object.entries(poison)) {
    if (dice < share) return kind as Poison;
    dice -= share;
  }
  return undefined;
}

/** Mostly no time, often a few milliseconds, now and then a held transaction. */
async function pause(random: Random): Promise<void> {
  const dice = random();
  if (dice < 0.5) return;
  await delay(dice < 0.97 ? random() * 8 : 100 + random() * 200);
}
