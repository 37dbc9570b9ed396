import { setTimeout as delay } from 'node:timers/promises';
import {
  DeadLetter,
  type Delivery,
  type Pgwatch,
  PgwatchError,
  RetryAfter,
  type Subscription,
} from '../../../src/index.ts';
import type { Payload } from '../writers/transaction.ts';
import type { WrongLoop } from './setup.ts';
import type { TortureConsumer } from './torture-consumer.ts';

export type LoopOptions = {
  /** True: it may be left while its deliveries are open, so others handle them, too. */
  mayGiveBack: boolean;
  wrong: WrongLoop | undefined;
};

type Deliveries =
  | Subscription<Payload, Delivery<Payload>>
  | Subscription<Payload, Delivery<Payload>[]>;

/** A loop over the deliveries of a consumer, as many of which are out as it allows. */
export class Loop {
  readonly #pgwatch: Pgwatch;
  readonly #consumer: TortureConsumer;
  readonly #options: LoopOptions;

  constructor(pgwatch: Pgwatch, consumer: TortureConsumer, options: LoopOptions) {
    this.#pgwatch = pgwatch;
    this.#consumer = consumer;
    this.#options = options;
  }

  /** Loops until the signal aborts. When it has left the loop, it subscribes again. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const subscription = this.#subscribe();
      const leave = () => void this.#leave(subscription);
      stop.addEventListener('abort', leave, { once: true });
      await this.#iterate(subscription);
      stop.removeEventListener('abort', leave);
    }
  }

  #subscribe(): Deliveries {
    const { id: consumer, options, batch } = this.#consumer;
    return batch === undefined
      ? this.#pgwatch.subscribe<Payload>({ consumer, ...options })
      : this.#pgwatch.subscribe<Payload>({ consumer, ...options, batch });
  }

  async #iterate(subscription: Deliveries): Promise<void> {
    for await (const given of subscription) {
      if (this.#options.mayGiveBack && Math.random() < LEFT_SHARE) return;
      void this.#handle([given].flat());
    }
  }

  /** Ends the loop: at once, or when everything that it works on is settled. */
  async #leave(subscription: Deliveries): Promise<void> {
    const givesBack = this.#options.mayGiveBack && Math.random() < 0.5;
    await (givesBack ? subscription.return() : subscription.stop());
  }

  async #handle(deliveries: Delivery<Payload>[]): Promise<void> {
    const [first] = deliveries;
    if (!first) return;
    const { id: consumerId, options, handle } = this.#consumer;
    // In a transaction it could do nothing after that.
    const isEarly = this.#options.wrong !== undefined && !options.transaction;
    if (isEarly) {
      await settleAll(deliveries, []);
      await delay(20);
    }
    const notifications = deliveries.map(({ notification }) => notification);
    const failures = await handle(notifications, { consumerId, db: first.db });
    if (!isEarly) await settleAll(deliveries, failures);
  }
}

async function settleAll(
  deliveries: readonly Delivery[],
  failures: readonly (Error | undefined)[],
): Promise<void> {
  await Promise.all(deliveries.map((delivery, index) => settle(delivery, failures[index])));
}

async function settle(delivery: Delivery, failure: Error | undefined): Promise<void> {
  try {
    if (!failure) await delivery.ack();
    else if (failure instanceof DeadLetter) await delivery.nack(failure, { dead: true });
    else if (failure instanceof RetryAfter) {
      await delivery.nack(failure, { retryAfter: failure.delayMs });
    } else await delivery.nack(failure);
  } catch (thrown) {
    // It is delivered again.
    if (!(thrown instanceof PgwatchError && thrown.code === 'delivery_lost')) throw thrown;
  }
}

/** The share of deliveries that make it leave the loop. */
const LEFT_SHARE = 0.001;
