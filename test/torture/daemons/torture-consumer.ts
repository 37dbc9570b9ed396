import type { ConsumerDefinition } from '../../../src/consumers/define.ts';
import { toError } from '../../../src/errors.ts';
import type { Handling } from '../history/history.ts';
import type { RecordWriter } from '../history/record.ts';
import type { Payload } from '../writers/transaction.ts';
import { makeHandler, type TortureContext, type TortureNotification } from './handlers.ts';
import type { ConsumerSetup, DaemonSetup } from './setup.ts';

/** A consumer of the torture tests, whatever runs it. */
export type TortureConsumer = {
  id: string;
  options: ConsumerSetup['options'] & Pick<ConsumerDefinition, 'channels'>;
  /** The maximum number of notifications in a batch; undefined: it takes single ones. */
  batch: number | undefined;
  /** Handles notifications, one after the other. Returns why each has failed, if it has. */
  handle(
    notifications: readonly TortureNotification[],
    context: TortureContext,
  ): Promise<(Error | undefined)[]>;
};

export function tortureConsumer(
  { id, handler, options, batch }: ConsumerSetup,
  { url, folder }: DaemonSetup,
  record: RecordWriter<Handling>,
): TortureConsumer {
  const handleOne = makeHandler(handler, { record, url, folder });
  return {
    id,
    options: {
      channels: ['torture'],
      from: 'start',
      // Within the duration of a round.
      retry: { attempts: 100, backoff: () => 50 },
      ...options,
    },
    batch,
    async handle(notifications, context) {
      const failures: (Error | undefined)[] = [];
      for (const notification of notifications) {
        // It may have the key of the one that has failed, and must then come after it.
        if (failures.some(Boolean)) failures.push(new Error('An earlier one of its batch failed.'));
        else failures.push(await failureOf(handleOne(notification, context)));
      }
      return failures;
    },
  };
}

/** The consumer as a file exports it, or as a program passes it to listen(). */
export function definitionOf({
  id,
  options,
  batch,
  handle,
}: TortureConsumer): ConsumerDefinition<Payload> {
  if (batch !== undefined) return { id, ...options, handleBatch: handle, batchSize: batch };
  return {
    id,
    ...options,
    async handle(notification, context) {
      const [failure] = await handle([notification], context);
      if (failure) throw failure;
    },
  };
}

async function failureOf(work: Promise<void>): Promise<Error | undefined> {
  return work.then(() => undefined, toError);
}
