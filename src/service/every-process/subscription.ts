import { PgwatchError } from '../../errors.ts';
import { type Gap, gapText } from '../../log/gap.ts';
import { LogNotification, type Notification } from '../../log/notification.ts';
import type { Reporter } from '../../reporter.ts';
import type { Follower } from './follower.ts';
import type { EveryProcess } from './options.ts';

/** What a subscription needs of its program. */
export type Following = {
  reporter: Reporter;
  /** Makes what follows the log, once the subscription begins. */
  open(follow: Pick<EveryProcess, 'channels' | 'from'> & { onReady(): void }): Promise<Follower>;
  /** Called once a subscription that has begun has ended. */
  onEnd(): void;
};

/**
 * Notifications for this process alone, to iterate over. There is nothing to settle: whoever asks
 * for the next one is done with the one before. Connections that are lost are opened again, and it
 * continues from the log. It begins with the first step of the loop, or with ready().
 */
export class ProcessSubscription<Payload = unknown>
  implements AsyncIterableIterator<Notification<Payload>, void>
{
  readonly #given: EveryProcess;
  readonly #following: Following;
  readonly #stop = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  readonly #notifications: AsyncGenerator<Notification<Payload>, void>;
  #first: Promise<IteratorResult<Notification<Payload>, void>> | undefined;
  #hasBegun = false;

  constructor(given: EveryProcess, following: Following) {
    this.#given = given;
    this.#following = following;
    const { signal } = given;
    if (signal?.aborted) this.#stop.abort();
    else signal?.addEventListener('abort', () => this.#stop.abort(), { once: true });
    this.#ready.promise.catch(() => {});
    this.#notifications = this.#read();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * Begins, unless it has begun. Resolves once it is fixed where: whatever is committed after that
   * is received. So fill a cache after ready(), and no change is missed in between.
   * @throws PgwatchError if it cannot begin
   */
  async ready(): Promise<void> {
    if (!this.#hasBegun) {
      this.#first = this.next();
      this.#first.catch(() => {});
    }
    await this.#ready.promise;
  }

  /**
   * The next notification, once there is one.
   * @throws PgwatchError if it cannot go on; whatever onGap throws
   */
  async next(): Promise<IteratorResult<Notification<Payload>, void>> {
    this.#hasBegun = true;
    const first = this.#first;
    this.#first = undefined;
    return first ?? this.#notifications.next();
  }

  /** Ends it. */
  async return(): Promise<IteratorResult<Notification<Payload>, void>> {
    await this.stop();
    return { done: true, value: undefined };
  }

  /** Ends it, like leaving the loop. Resolves once its connections are closed. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#notifications.return();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async *#read(): AsyncGenerator<Notification<Payload>, void> {
    const { channels, from } = this.#given;
    const { signal } = this.#stop;
    try {
      const onReady = () => this.#ready.resolve();
      const follower = await this.#following.open({ channels, from, onReady });
      for await (const each of follower.run(signal)) {
        if ('gap' in each) await this.#tellGap(each.gap);
        else {
          const { row, isReplay } = each;
          const notification = new LogNotification<Payload>(row, { isReplay, attempt: 1 });
          if (notification.unreadable === null) yield notification;
          else
            this.#following.reporter.warn(
              `${notification.unreadable}. It is left out of ${this.#name}.`,
            );
        }
        if (signal.aborted) return;
      }
    } catch (thrown) {
      this.#ready.reject(thrown);
      throw thrown;
    } finally {
      this.#following.onEnd();
      this.#ready.reject(new PgwatchError('closed', 'The subscription has ended.'));
    }
  }

  async #tellGap(gap: Gap): Promise<void> {
    const { onGap } = this.#given;
    if (onGap) await onGap(gap);
    else this.#following.reporter.warn(`A gap in ${this.#name}: ${gapText(gap)}`);
  }

  get #name(): string {
    return `the subscription to ${this.#given.channels.join(', ')}`;
  }
}
