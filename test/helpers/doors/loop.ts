import { consumerReporter } from '../../../src/consumers/context.ts';
import type { ConsumerContext } from '../../../src/consumers/define.ts';
import { failureOf, type Outcome, outcomesOf } from '../../../src/consumers/outcome.ts';
import { errorCodeOf } from '../../../src/errors.ts';
import type { Reporter } from '../../../src/reporter.ts';
import type { Delivery } from '../../../src/service/delivery.ts';
import type { Pgwatch } from '../../../src/service/pgwatch.ts';
import type { TestDefinition } from './doors.ts';

type Loop = {
  pgwatch: Pgwatch;
  reporter: Reporter;
  skipPlayback: boolean;
};

/**
 * Runs a consumer as a loop over subscribe(): its handler is called for each delivery, which is
 * settled according to how the call ends. When the signal aborts, it stops like a service.
 */
export async function runLoop(
  definition: TestDefinition,
  loop: Loop,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return;
  const subscription = subscribe(definition, loop);
  signal.addEventListener('abort', () => subscription.stop(), { once: true });
  for await (const item of subscription) void settle(definition, [item].flat(), loop);
}

function subscribe(definition: TestDefinition, { pgwatch, skipPlayback }: Loop) {
  if ('handle' in definition) {
    const { id: consumer, handle: _, ...options } = definition;
    return pgwatch.subscribe({ consumer, skipPlayback, ...options });
  }
  const { id: consumer, handleBatch: _, batchSize: batch = 500, ...options } = definition;
  return pgwatch.subscribe({ consumer, skipPlayback, ...options, batch });
}

async function settle(
  definition: TestDefinition,
  deliveries: Delivery[],
  loop: Loop,
): Promise<void> {
  const outcomes = await call(definition, deliveries, loop);
  const settled = deliveries.map((delivery, index) => record(delivery, outcomes[index] as Outcome));
  for (const result of await Promise.allSettled(settled)) {
    // The call came to its end too late, as that of a handler may.
    const isLate = result.status === 'rejected' && errorCodeOf(result.reason) === 'delivery_lost';
    if (result.status === 'rejected' && !isLate) throw result.reason;
  }
}

async function call(
  definition: TestDefinition,
  deliveries: readonly Delivery[],
  loop: Loop,
): Promise<readonly Outcome[]> {
  const context = contextOf(deliveries[0] as Delivery, definition, loop);
  const notifications = deliveries.map(({ notification }) => notification);
  try {
    const returned =
      'handle' in definition
        ? await definition.handle(notifications[0] as Delivery['notification'], context)
        : await definition.handleBatch(notifications, context);
    return outcomesOf(returned, deliveries.length, 'handleBatch' in definition);
  } catch (thrown) {
    return deliveries.map(() => failureOf(thrown));
  }
}

function contextOf(
  delivery: Delivery,
  { id: consumerId }: TestDefinition,
  { reporter }: Loop,
): ConsumerContext {
  return {
    consumerId,
    attempt: delivery.attempt,
    reporter: consumerReporter({ id: consumerId }, reporter),
    // Like those of a handler, made when they are first used.
    get db() {
      return delivery.db;
    },
    get signal() {
      return delivery.signal;
    },
  };
}

function record(delivery: Delivery, outcome: Outcome): Promise<void> {
  if (outcome.type === 'dead') return delivery.nack(outcome.error, { dead: true });
  if (outcome.type !== 'failed') return delivery.ack();
  const { error, retryAfterMs } = outcome;
  return delivery.nack(error, retryAfterMs === null ? {} : { retryAfter: retryAfterMs });
}
