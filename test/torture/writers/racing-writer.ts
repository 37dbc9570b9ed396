import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../../racing/random.ts';
import type { Attempt } from '../history/history.ts';
import { WriterConnection } from './connection.ts';
import { runTransaction, settle } from './transaction.ts';
import type { WriterOptions, WriterTools } from './writers.ts';

/** Runs one transaction after another; a failed one is not repeated. */
export async function runRacingWriter(
  options: WriterOptions,
  { record, index, stop }: WriterTools,
): Promise<void> {
  const random = seededRandom(options.seed * 1000 + index);
  const connection = new WriterConnection(options.url);
  const note = (attempts: readonly Attempt[]) => {
    for (const attempt of attempts) record.append(attempt);
  };
  for (let transaction = 1; !stop.aborted; transaction++) {
    const name = `w${index}.${transaction}`;
    let pending: readonly Attempt[] = [];
    const onCommit = (attempts: readonly Attempt[]) => {
      pending = attempts;
      note(attempts);
    };
    try {
      note(
        await connection.run((client) =>
          runTransaction({ ...options, client, random, name, onCommit }),
        ),
      );
    } catch {
      note(settle(pending, options.belief));
      await delay(20 + random() * 50);
    }
  }
  connection.close();
}
