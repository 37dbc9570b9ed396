import type { DeadLetterAction } from '../log/by-hand/dead-letter-change.ts';
import type { FiledDelivery } from '../log/deliveries/dead-letters.ts';
import type { RunAccess } from './access.ts';
import type { DeadLetterReport } from './operations/dead-letters.ts';
import type { ChangeDeadLettersOptions, ListDeadLettersOptions } from './operations/selection.ts';

/** Lists, retries and discards dead letters, like "pgwatch dlq". */
export class DeadLetters {
  readonly #run: RunAccess;

  constructor(run: RunAccess) {
    this.#run = run;
  }

  /**
   * Lists dead letters, the latest failure first, like "pgwatch dlq list --json".
   * @throws PgwatchError consumer_unknown, input_invalid
   */
  async list(options: ListDeadLettersOptions = {}): Promise<FiledDelivery[]> {
    const { listFrom } = await import('./operations/dead-letters.ts');
    const asked = listFrom(options);
    const { listDeliveries } = await import('../log/deliveries/dead-letters.ts');
    const consumers = asked.filter.consumerIds ?? [];
    return this.#run({ mode: 'read', consumers }, (client, { schema }) =>
      listDeliveries(client, schema, asked),
    );
  }

  /**
   * Delivers dead letters again, with a full set of attempts. Those that wait for a retry, given by
   * id, are attempted now.
   * @throws PgwatchError consumer_unknown; input_invalid, also if nothing is selected
   */
  async retry(options: ChangeDeadLettersOptions): Promise<DeadLetterReport<'retried'>> {
    return this.#change('retry', options);
  }

  /**
   * Deletes dead letters: they will never be handled.
   * @throws PgwatchError as retry
   */
  async discard(options: ChangeDeadLettersOptions): Promise<DeadLetterReport<'discarded'>> {
    return this.#change('discard', options);
  }

  async #change(
    action: DeadLetterAction,
    options: ChangeDeadLettersOptions,
  ): Promise<DeadLetterReport> {
    const operations = await import('./operations/dead-letters.ts');
    const change = operations.changeFrom(action, options);
    const consumers = change.filter.consumerIds ?? [];
    return this.#run({ mode: 'change', consumers }, async (client, { schema }) =>
      operations.deadLetterReport(change, await operations.changeAll(client, schema, change)),
    );
  }
}
