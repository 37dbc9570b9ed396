import type { Consumer } from '../consumers/define.ts';
import { PgwatchError, toError } from '../errors.ts';
import type { Notification } from '../log/notification.ts';
import { type Context, Delivery, lossOf } from './delivery.ts';
import type { Listening } from './listening.ts';
import { type SubscribeOptions, subscribingConsumer } from './subscribe-options.ts';

/** Starts a consumer of this process; it stops when the signal aborts. */
export type Start = (consumer: Consumer, signal: AbortSignal) => Promise<Listening>;

/** A call of the handler whose deliveries wait to be handed out. */
type Waiting<Payload> = { deliveries: Delivery<Payload>[]; context: Context };

/**
 * Deliveries of a consumer, to iterate over. As many are out at once as `concurrency`; the next one
 * comes when one of them is settled. Leaving the loop ends it, and gives back what is open without
 * spending an attempt. It begins with the first step of the loop, and can be iterated over once.
 */
export class Subscription<Payload, Item> implements AsyncIterableIterator<Item, void> {
  readonly #consumer: Consumer;
  readonly #start: Start;
  readonly #itemOf: (deliveries: Delivery<Payload>[]) => Item;
  readonly #stop = new AbortController();
  readonly #waiting: Waiting<Payload>[] = [];
  readonly #asked: PromiseWithResolvers<IteratorResult<Item, void>>[] = [];
  #listening: Promise<Listening> | undefined;
  #ending: Promise<void> | undefined;
  #failure: Error | undefined;
  #isOver = false;

  /** @throws PgwatchError consumer_invalid */
  constructor(
    options: SubscribeOptions<Payload>,
    start: Start,
    itemOf: (deliveries: Delivery<Payload>[]) => Item,
  ) {
    this.#consumer = subscribingConsumer(options as SubscribeOptions, (notifications, context) =>
      this.#handle(notifications as Notification<Payload>[], context),
    );
    this.#start = start;
    this.#itemOf = itemOf;
    const { signal } = options;
    if (signal?.aborted) this.#stop.abort();
    else signal?.addEventListener('abort', () => this.#stop.abort(), { once: true });
    this.#stop.signal.addEventListener('abort', () => void this.#end(), { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * The next delivery, once there is one.
   * @throws PgwatchError if the subscription cannot go on
   */
  async next(): Promise<IteratorResult<Item, void>> {
    if (this.#stop.signal.aborted) await this.#end();
    else this.#begin();
    const ready = this.#takeWaiting();
    if (ready) return this.#handOut(ready);
    if (this.#isOver) return this.#last();
    const asked = Promise.withResolvers<IteratorResult<Item, void>>();
    this.#asked.push(asked);
    return asked.promise;
  }

  /** Ends it. What is open is given back at once; the promise resolves once that is done. */
  async return(): Promise<IteratorResult<Item, void>> {
    await this.stop();
    return { done: true, value: undefined };
  }

  /** Ends it, like leaving the loop. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * Waits until everything that was written before the call has been settled.
   * @throws PgwatchError closed if it ends before that
   */
  async caughtUp(): Promise<void> {
    if (this.#stop.signal.aborted) throw new PgwatchError('closed', 'The subscription has ended.');
    await (await this.#begin()).caughtUp();
  }

  #begin(): Promise<Listening> {
    if (!this.#listening) {
      this.#listening = this.#start(this.#consumer, this.#stop.signal);
      const done = this.#listening.then((listening) => listening.done);
      done.then(
        () => this.#finish(),
        (thrown: unknown) => this.#finish(toError(thrown)),
      );
    }
    return this.#listening;
  }

  async #handle(notifications: Notification<Payload>[], context: Context): Promise<unknown> {
    const { timeoutMs, isBatch } = this.#consumer;
    // Its time begins when it is handed out.
    context.unlimit();
    const deliveries = notifications.map((each) => new Delivery(each, context, timeoutMs));
    const waiting = { deliveries, context };
    const asked = this.#asked.shift();
    if (asked) asked.resolve(this.#handOut(waiting));
    else this.#waiting.push(waiting);
    try {
      if (!isBatch) return await deliveries[0]?.settled;
      return await Promise.allSettled(deliveries.map(({ settled }) => settled));
    } finally {
      // Whoever still works on one does not know yet that it is lost.
      if (context.overReason) context.giveUp();
      const left = this.#waiting.indexOf(waiting);
      if (left >= 0) this.#waiting.splice(left, 1);
    }
  }

  /** The next call whose deliveries can still be settled. */
  #takeWaiting(): Waiting<Payload> | undefined {
    for (;;) {
      const waiting = this.#waiting.shift();
      if (!waiting || !lossOf(waiting.context)) return waiting;
    }
  }

  #handOut({ deliveries, context }: Waiting<Payload>): IteratorResult<Item, void> {
    context.limit(this.#consumer.timeoutMs);
    return { done: false, value: this.#itemOf(deliveries) };
  }

  #end(): Promise<void> {
    this.#ending ??= (async () => {
      // Its failure is thrown by next().
      await (await this.#listening?.catch(() => undefined))?.stop();
      this.#finish();
    })();
    return this.#ending;
  }

  #finish(failure?: Error): void {
    this.#failure ??= failure;
    this.#isOver = true;
    for (const asked of this.#asked.splice(0)) asked.resolve(this.#last());
  }

  /** The end; a failure is thrown once. */
  async #last(): Promise<IteratorResult<Item, void>> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
    return { done: true, value: undefined };
  }
}
