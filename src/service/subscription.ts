import type { Consumer } from '../consumers/define.ts';
import { PgwatchError, toError } from '../errors.ts';
import type { Notification } from '../log/notification.ts';
import { sleep } from '../time.ts';
import { Delivery, type DeliveryContext, reasonLost } from './delivery.ts';
import type { Listening } from './listening.ts';
import { type SubscribeOptions, subscribingConsumer } from './subscribe-options.ts';

/**
 * Starts a consumer of this process; it stops when the signal aborts. With how long stop() waits
 * for what is open.
 */
export type Start = (
  consumer: Consumer,
  signal: AbortSignal,
) => Promise<{ listening: Listening; shutdownTimeoutMs: number }>;

/** A call of the handler, whose deliveries wait to be handed out, or are out. */
type HandlerCall<Payload> = { deliveries: Delivery<Payload>[]; context: DeliveryContext };

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
  readonly #waiting: HandlerCall<Payload>[] = [];
  readonly #asked: PromiseWithResolvers<IteratorResult<Item, void>>[] = [];
  readonly #out = new Set<HandlerCall<Payload>>();
  #begun: ReturnType<Start> | undefined;
  #stopping: Promise<void> | undefined;
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
  next(): Promise<IteratorResult<Item, void>> {
    if (this.#stopping || this.#stop.signal.aborted) return this.#atEnd();
    this.#begin();
    const ready = this.#takeWaiting();
    if (ready) return Promise.resolve(this.#handOut(ready));
    if (this.#isOver) return this.#last();
    const asked = Promise.withResolvers<IteratorResult<Item, void>>();
    this.#asked.push(asked);
    return asked.promise;
  }

  /** Ends it. What is open is given back at once; the promise resolves once that is done. */
  async return(): Promise<IteratorResult<Item, void>> {
    this.#stop.abort();
    await this.#end();
    return { done: true, value: undefined };
  }

  /**
   * Delivers nothing more, and waits until what is open is settled: up to shutdownTimeout, then it
   * is given back. The loop ends once that is done.
   */
  async stop(): Promise<void> {
    this.#stopping ??= this.#finishOpen();
    await this.#stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /**
   * Begins, unless it has begun. Resolves once the consumer has its position in the database: it
   * receives what is committed after that, with from: 'now', too.
   * @throws PgwatchError why it cannot begin; closed if it ends before that
   */
  async ready(): Promise<void> {
    await (await this.#running()).ready();
  }

  /**
   * Waits until everything that was written before the call has been settled.
   * @throws PgwatchError closed if it ends before that
   */
  async caughtUp(): Promise<void> {
    await (await this.#running()).caughtUp();
  }

  async #running(): Promise<Listening> {
    if (this.#stopping || this.#stop.signal.aborted) {
      throw new PgwatchError('closed', 'The subscription has ended.');
    }
    return (await this.#begin()).listening;
  }

  #begin(): ReturnType<Start> {
    if (!this.#begun) {
      this.#begun = this.#start(this.#consumer, this.#stop.signal);
      const done = this.#begun.then(({ listening }) => listening.done);
      done.then(
        () => this.#finish(),
        (thrown: unknown) => this.#finish(toError(thrown)),
      );
    }
    return this.#begun;
  }

  /** Without async functions, here and in next(): promises are most of what a loop costs. */
  #handle(notifications: Notification<Payload>[], context: DeliveryContext): Promise<unknown> {
    const { timeoutMs, isBatch } = this.#consumer;
    // Its time begins when it is handed out.
    context.unlimit();
    let openCount = notifications.length;
    const onEnd = () => {
      openCount -= 1;
      if (openCount === 0) this.#forget(call);
    };
    const how = { timeoutMs, onEnd };
    const deliveries = notifications.map((each) => new Delivery(each, context, how));
    const call: HandlerCall<Payload> = { deliveries, context };
    const asked = this.#stopping ? undefined : this.#asked.shift();
    if (asked) asked.resolve(this.#handOut(call));
    else this.#waiting.push(call);
    const settled = isBatch
      ? Promise.allSettled(deliveries.map((delivery) => delivery.settled))
      : (deliveries[0] as Delivery<Payload>).settled;
    context.onOver((reason) => {
      for (const delivery of deliveries) delivery.lose(reason);
    });
    return settled;
  }

  #forget(call: HandlerCall<Payload>): void {
    // Whoever still works on one does not know yet that it is lost.
    if (call.context.overReason) call.context.giveUp();
    if (this.#out.delete(call)) return;
    const left = this.#waiting.indexOf(call);
    if (left >= 0) this.#waiting.splice(left, 1);
  }

  /** The next call whose deliveries can still be settled. */
  #takeWaiting(): HandlerCall<Payload> | undefined {
    for (;;) {
      const waiting = this.#waiting.shift();
      if (!waiting || !reasonLost(waiting.context)) return waiting;
    }
  }

  #handOut(call: HandlerCall<Payload>): IteratorResult<Item, void> {
    const { deliveries, context } = call;
    this.#out.add(call);
    context.limit(this.#consumer.timeoutMs);
    return { done: false, value: this.#itemOf(deliveries) };
  }

  async #finishOpen(): Promise<void> {
    const out = [...this.#out].flatMap(({ deliveries }) => deliveries);
    const open = out.filter(({ isOpen }) => isOpen).map(({ settled }) => settled);
    const begun = await this.#begun?.catch(() => undefined);
    if (begun && open.length > 0) {
      const areSettled = new AbortController();
      Promise.allSettled(open).then(() => areSettled.abort());
      const over = AbortSignal.any([areSettled.signal, this.#stop.signal]);
      await sleep(begun.shutdownTimeoutMs, over);
    }
    this.#stop.abort();
    await this.#end();
  }

  async #atEnd(): Promise<IteratorResult<Item, void>> {
    await (this.#stopping ?? this.#end());
    return this.#last();
  }

  #end(): Promise<void> {
    this.#ending ??= (async () => {
      // Its failure is thrown by next().
      await (await this.#begun?.catch(() => undefined))?.listening.stop();
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
