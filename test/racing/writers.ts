import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Attempt } from './history.ts';
import { type Random, seededRandom } from './random.ts';

export type WriterOptions = {
  url: string;
  channel: string;
  count: number;
  seed: number;
  /** Aborts when the writers should stop after their current transaction. */
  stop: AbortSignal;
  /** The publishing statement. Parameters: channel, token, key. Default: smart_notify. */
  publishSql?: string;
  /** Called after each transaction, so a reader can keep in step. */
  onEnd?: () => void;
};

/**
 * Racing writers: each publishes in transactions that are short or held open, that commit, roll
 * back, or roll back to a savepoint, and in which time passes between taking the xid, publishing
 * and the end.
 * @returns the attempts of all writers and their outcomes
 */
export async function raceWriters(options: WriterOptions): Promise<Attempt[]> {
  const histories = await Promise.all(
    Array.from({ length: options.count }, (_, index) => runWriter(options, index)),
  );
  return histories.flat();
}

async function runWriter(options: WriterOptions, index: number): Promise<Attempt[]> {
  const random = seededRandom(options.seed * 1000 + index);
  const client = new Client({ connectionString: options.url, application_name: 'writer' });
  client.on('error', () => {});
  await client.connect();
  const history: Attempt[] = [];
  try {
    for (let sequence = 1; !options.stop.aborted; ) {
      const transaction = await runTransaction(client, random, {
        ...options,
        key: `w${index}`,
        sequence,
      });
      sequence += transaction.length + 1;
      history.push(...transaction);
      options.onEnd?.();
    }
  } finally {
    await client.end();
  }
  return history;
}

type Step = { channel: string; key: string; sequence: number; publishSql?: string };

async function runTransaction(client: Client, random: Random, step: Step): Promise<Attempt[]> {
  const attempts: Attempt[] = [];
  let next = step.sequence;
  const publish = async () => {
    const token = `${step.key}/${next++}`;
    const publishSql = step.publishSql ?? 'select smart_notify($1, to_jsonb($2::text), $3)';
    await client.query(publishSql, [step.channel, token, step.key]);
    return token;
  };
  await client.query('begin');
  await client.query(`set local pgwatch.notify = '${random() < 0.5 ? 'doorbell' : 'always'}'`);
  // The xid first and the ids later, so xids and ids have different orders.
  if (random() < 0.3) await client.query('select pg_current_xact_id()');
  await pause(random);
  for (let n = 1 + Math.floor(random() * 3); n > 0; n--) {
    const hasSavepoint = random() < 0.3;
    if (hasSavepoint) await client.query('savepoint s');
    const token = await publish();
    const isUndone = hasSavepoint && random() < 0.5;
    if (isUndone) await client.query('rollback to savepoint s');
    attempts.push({ token, outcome: isUndone ? 'aborted' : 'unknown' });
    await pause(random);
  }
  const isCommitted = random() < 0.85;
  await client.query(isCommitted ? 'commit' : 'rollback');
  const outcome = isCommitted ? 'committed' : 'aborted';
  return attempts.map((attempt) =>
    attempt.outcome === 'unknown' ? { ...attempt, outcome } : attempt,
  );
}

/** Mostly no pause, often a few milliseconds, sometimes long enough to hold the transaction. */
async function pause(random: Random): Promise<void> {
  const dice = random();
  if (dice < 0.5) return;
  await delay(dice < 0.97 ? random() * 8 : 100 + random() * 200);
}
