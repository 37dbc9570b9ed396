import { COMMON_OPTIONS, checkDefinition } from '../consumers/check.ts';
import type { Consumer, ConsumerDefinition } from '../consumers/define.ts';
import { PgwatchError, toError } from '../errors.ts';
import { shown } from '../kinds.ts';
import type { Notification } from '../log/notification.ts';
import { onlyKnown } from '../suggest.ts';
import { abortSignal, checkedOptions, flag } from './checked-options.ts';
import type { DeliveryContext } from './delivery.ts';

/** What a subscription receives, and how: the options of a consumer. */
export type SubscribeOptions<Payload = unknown> = Pick<
  ConsumerDefinition<Payload>,
  (typeof COMMON_OPTIONS)[number]
> & {
  /** Names its position in the database, like the id of a consumer file. */
  consumer: string;
  /** Yields arrays of up to so many deliveries. Default: single deliveries. */
  batch?: number;
  /** Ends the subscription when it aborts, like leaving the loop. */
  signal?: AbortSignal;
  /** Skips everything that was missed; it is never delivered. Default false. */
  skipPlayback?: boolean;
};

export type Handle = (notifications: Notification[], context: DeliveryContext) => Promise<unknown>;

/**
 * The consumer that a subscription is to the daemon.
 * @throws PgwatchError consumer_invalid, input_invalid
 */
export function subscribingConsumer(given: SubscribeOptions, handleBatch: Handle): Consumer {
  onlyKnown(given, OPTIONS, 'subscribe()', 'consumer_invalid');
  const { consumer: id, batch, signal, skipPlayback, ...rest } = given;
  if (id === undefined) {
    throw invalid('subscribe() needs the option consumer, which names its position');
  }
  checkedOptions(
    'subscribe()',
    { signal, skipPlayback },
    { signal: abortSignal, skipPlayback: flag },
  );
  const handler =
    batch === undefined
      ? { handle: (one: Notification, context: DeliveryContext) => handleBatch([one], context) }
      : { handleBatch, batchSize: batch };
  try {
    return checkDefinition({ id, ...rest, ...handler });
  } catch (thrown) {
    throw invalid(`subscribe() to ${shown(id)}: ${toError(thrown).message}`);
  }
}

function invalid(reason: string): PgwatchError {
  return new PgwatchError('consumer_invalid', `${reason}.`);
}

const OPTIONS = ['consumer', ...COMMON_OPTIONS, 'batch', 'signal', 'skipPlayback'];
