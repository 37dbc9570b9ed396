import { type Backoff, backoffMs, parseDurationMs, TIMER_MS_MAX } from '../time.ts';
import type { Consumer, ConsumerDefinition } from './define.ts';

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
  const { concurrency = 1, timeout = '5m', retry = {} } = definition;
  if (!isCount(concurrency)) {
    throw new Error(`concurrency must be a positive whole number, not ${shown(concurrency)}`);
  }
  const isTransactional = oneOf('transaction', definition.transaction ?? false, [false, true]);
  if (concurrency > 1 && (isBatch || isTransactional)) {
    throw new Error(
      'concurrency cannot be combined with handleBatch or transaction, which run one call at a' +
        " time. To split their work over several processes, use instances: 'shared'",
    );
  }
  return {
    order: oneOf('order', definition.order ?? 'key', ['key', 'none']),
    concurrency,
    ...checkRetry(retry),
    timeoutMs: checkDuration('timeout', timeout),
    onDead: oneOf('onDead', definition.onDead ?? 'continue', ['continue', 'stop']),
    isTransactional,
    isShared: oneOf('instances', definition.instances ?? 'one', ['one', 'shared']) === 'shared',
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
  if (!isCount(attempts)) {
    throw new Error(`retry.attempts must be a positive whole number, not ${shown(attempts)}`);
  }
  if (typeof backoff !== 'function') {
    const baseMs = checkDuration('retry.backoff', backoff);
    return { attemptsMax: attempts, backoffMs: (attempt) => wait(attempt, baseMs) };
  }
  return {
    attemptsMax: attempts,
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

function checkDuration(name: string, value: unknown): number {
  const durationMs = parseDurationMs(value);
  if (durationMs !== undefined && durationMs > 0 && durationMs <= TIMER_MS_MAX) return durationMs;
  throw new Error(
    `${name} must be a time like '30s' or '5m', at most 24 days, not ${shown(value)}`,
  );
}

function checkSchema(schema: unknown): Consumer['schema'] {
  if (schema === null) return null;
  // Some schemas are functions.
  const standard = (schema as { '~standard'?: { validate?: unknown } })['~standard'];
  if (typeof standard?.validate === 'function') return schema as Consumer['schema'];
  throw new Error('schema must be a Standard Schema, such as one of Zod, Valibot or ArkType');
}

function oneOf<Value>(name: string, value: Value, allowed: readonly Value[]): Value {
  if (allowed.includes(value)) return value;
  throw new Error(`${name} must be ${allowed.map(shown).join(' or ')}, not ${shown(value)}`);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : (JSON.stringify(value) ?? String(value));
}

const BACKOFF_MS_MAX = 900_000;
