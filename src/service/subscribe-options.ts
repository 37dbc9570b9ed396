import { checkDefinition } from '../consumers/check.ts';
import type { Consumer, ConsumerDefinition } from '../consumers/define.ts';
import { PgwatchError, toError } from '../errors.ts';
import { isObject, shown } from '../kinds.ts';
import type { Notification } from '../log/notification.ts';
import { suggest } from '../suggest.ts';
import type { Context } from './delivery.ts';

/** What a subscription receives, and how: the options of a consumer. */
export type SubscribeOptions<Payload = unknown> = Pick<
  ConsumerDefinition<Payload>,
  | 'channels'
  | 'from'
  | 'order'
  | 'concurrency'
  | 'retry'
  | 'timeout'
  | 'onDead'
  | 'transaction'
  | 'instances'
  | 'schema'
  | 'onGap'
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

export type Handle = (notifications: Notification[], context: Context) => Promise<unknown>;

/**
 * The consumer that a subscription is to the daemon.
 * @throws PgwatchError consumer_invalid
 */
export function subscribingConsumer(given: SubscribeOptions, handleBatch: Handle): Consumer {
  if (!isObject(given)) throw invalid(`subscribe() takes options, not ${shown(given)}`);
  const { consumer: id, batch, signal, skipPlayback: _, ...rest } = given;
  const unknown = Object.keys(rest).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) {
    throw invalid(`subscribe() has no option "${unknown}".${suggest(unknown, OPTIONS)}`);
  }
  if (id === undefined) {
    throw invalid('subscribe() needs the option consumer, which names its position');
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalid(`subscribe(): signal must be an AbortSignal, not ${shown(signal)}`);
  }
  const handler =
    batch === undefined
      ? { handle: (one: Notification, context: Context) => handleBatch([one], context) }
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

const OPTIONS: readonly string[] = [
  'consumer',
  'channels',
  'from',
  'order',
  'concurrency',
  'retry',
  'timeout',
  'onDead',
  'transaction',
  'instances',
  'schema',
  'onGap',
  'batch',
  'signal',
  'skipPlayback',
];
