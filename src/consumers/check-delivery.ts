import { duration, oneOf, shown, wholeNumber } from '../kinds.ts';
import { type Backoff, backoffMs, parseDurationMs, TIMER_MS_MAX } from '../time.ts';
import { checked } from './checked.ts';
import type { Consumer, ConsumerDefinition } from './define.ts';
import { isStandardSchema, type SchemaByChannel } from './schema.ts';

type Delivery = Pick<
  Consumer,
  | 'order'
  | 'concurrency'
  | 'attemptsMax'
  | 'backoffMs'
  | 'timeoutMs'
  | 'onDead'
  | 'isTransactional'
  | 'isShared'
  | 'schema'
>;

type Fields = Omit<ConsumerDefinition, 'handle' | 'handleBatch' | 'batchSize'>;

/**
 * Checks the options that say how notifications are delivered, and adds the defaults.
 * @throws Error that says what is wrong
 */
export function checkDelivery(definition: Fields, isBatch: boolean): Delivery {
  const { timeout = '5m', retry = {}, transaction = false, instances = 'one' } = definition;
  const concurrency = checked('concurrency', wholeNumber(1), definition.concurrency ?? 1);
  const isTransactional = checked('transaction', oneOf(false, true), transaction);
  if (concurrency > 1 && (isBatch || isTransactional)) {
    throw new Error(
      'concurrency cannot be combined with handleBatch or transaction, which run one call at a' +
        " time. To split their work over several processes, use instances: 'shared'",
    );
  }
  return {
    order: checked('order', oneOf('key', 'none'), definition.order ?? 'key'),
    concurrency,
    ...checkRetry(retry),
    timeoutMs: checked('timeout', duration('30s'), timeout),
    onDead: checked('onDead', oneOf('continue', 'stop'), definition.onDead ?? 'continue'),
    isTransactional,
    isShared: checked('instances', oneOf('one', 'shared'), instances) === 'shared',
    schema: checkSchema(definition.schema ?? null),
  };
}

function checkRetry(retry: unknown): Pick<Consumer, 'attemptsMax' | 'backoffMs'> {
  if (typeof retry !== 'object' || retry === null) {
    throw new Error(`retry must be like { attempts: 20, backoff: '1s' }, not ${shown(retry)}`);
  }
  const unknown = Object.keys(retry).find((name) => name !== 'attempts' && name !== 'backoff');
  if (unknown !== undefined) {
    throw new Error(`retry has an unknown option "${unknown}": use attempts and backoff`);
  }
  const { attempts = 20, backoff = '1s' } = retry as NonNullable<Fields['retry']>;
  const attemptsMax = checked('retry.attempts', wholeNumber(1), attempts);
  if (typeof backoff !== 'function') {
    const baseMs = checked('retry.backoff', duration('1s'), backoff);
    return { attemptsMax, backoffMs: (attempt) => wait(attempt, baseMs) };
  }
  return {
    attemptsMax,
    // If backoff() fails or returns nonsense, the notification must still be retried.
    backoffMs: (attempt) => {
      try {
        return Math.min(parseDurationMs(backoff(attempt)) ?? wait(attempt), TIMER_MS_MAX);
      } catch {
        return wait(attempt);
      }
    },
  };
}

function wait(attempt: number, baseMs = 1000): number {
  const backoff: Backoff = { baseMs, capMs: BACKOFF_MS_MAX };
  return backoffMs(attempt, backoff);
}

function checkSchema(schema: unknown): Consumer['schema'] {
  if (schema === null) return null;
  if (isStandardSchema(schema)) return { schemaOf: () => schema };
  if (typeof (schema as SchemaByChannel).schemaOf === 'function') return schema as SchemaByChannel;
  throw new Error('schema must be a Standard Schema, such as one of Zod, Valibot or ArkType');
}

const BACKOFF_MS_MAX = 900_000;
