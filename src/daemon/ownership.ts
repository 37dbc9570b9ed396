import { randomUUID } from 'node:crypto';
import type { Config } from '../config/define.ts';
import type { Consumer } from '../consumers/define.ts';
import { toError } from '../errors.ts';
import { lockConsumers, unlockConsumer } from '../log/owner-lock.ts';
import { readNewestPosition, releaseOwnership, savePositions, takeOver } from '../log/progress.ts';
import type { Reporter } from '../reporter.ts';
import { sleep } from '../time.ts';
import { publishTransition } from '../transitions.ts';
import type { Control } from './control.ts';
import type { PositionSaver } from './position-saver.ts';
import type { ConsumerRunner, OwnedPosition } from './runner.ts';

export type OwnershipOptions = {
  config: Config;
  control: Control;
  consumers: readonly Consumer[];
  saver: PositionSaver;
  reporter: Reporter;
  /** Consumers that this process still runs, by id, those of a session that was lost included. */
  running: Map<string, { runner: ConsumerRunner; ended: Promise<void> }>;
  /** Consumers whose missed notifications are to be skipped when they are first taken over. */
  skipping: Set<string>;
  makeRunner(consumer: Consumer, ownership: OwnedPosition): ConsumerRunner;
};

/**
 * Owns the consumers that no other process owns, runs them, and stands by for the others. The lock
 * only keeps two processes from working in vain: what decides is the epoch.
 */
export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #tasks = new Set<Promise<void>>();
  readonly #standby = new Set<string>();
  readonly #failed = new AbortController();

  constructor(options: OwnershipOptions) {
    this.#options = options;
  }

  /**
   * Runs every consumer that it can own, until the session ends. Where the daemon stops, it waits
   * for the handlers; where the session failed it does not: one that hangs must not keep the others
   * away.
   */
  async run(
    session: AbortSignal,
    stop: AbortSignal,
    work: (runner: ConsumerRunner) => Promise<void>,
  ): Promise<void> {
    const ended = AbortSignal.any([session, this.#failed.signal]);
    while (!ended.aborted) {
      await this.#claim(work);
      await sleep(STANDBY_MS, ended);
    }
    if (stop.aborted) await this.#finish();
    if (this.#failed.signal.aborted) throw this.#failed.signal.reason;
  }

  /** Runs every consumer that it can own now, each until its work returns. */
  async runOnce(work: (runner: ConsumerRunner) => Promise<void>): Promise<void> {
    await this.#claim(work);
    await this.#finish();
  }

  async #finish(): Promise<void> {
    await Promise.all(this.#tasks);
    if (this.#failed.signal.aborted) throw this.#failed.signal.reason;
  }

  async #claim(work: (runner: ConsumerRunner) => Promise<void>): Promise<void> {
    const { config, control, consumers, running } = this.#options;
    const idle = consumers.filter(({ id }) => !running.has(id));
    if (idle.length === 0) return;
    const ids = idle.map(({ id }) => id);
    const locked = await control.run((client) => lockConsumers(client, config.schema, ids));
    for (const consumer of idle) {
      if (locked.includes(consumer.id)) await this.#start(consumer, work);
      else this.#standBy(consumer.id);
    }
  }

  async #start(consumer: Consumer, work: (runner: ConsumerRunner) => Promise<void>): Promise<void> {
    const { config, control, running, skipping, reporter } = this.#options;
    const claim = { consumerId: consumer.id, channels: consumer.channels, owner: OWNER };
    const ownership = await control.run(async (client) => {
      const owned = await takeOver(client, config.schema, claim);
      // After it, not with it: an earlier owner's last save must not be newer.
      const newest = await readNewestPosition(client, config.schema);
      if (!skipping.has(consumer.id)) return { ...owned, newest };
      const skipped = { ...owned, newest, position: newest };
      await savePositions(client, config.schema, [skipped]);
      skipping.delete(consumer.id);
      reporter.info(`${consumer.id} skips everything up to id ${newest.doneId}.`);
      return skipped;
    });
    const runner = this.#options.makeRunner(consumer, ownership);
    if (this.#standby.delete(consumer.id)) reporter.info(`${consumer.id} is taken over.`);
    publishTransition({ type: 'consumer_owned', consumerId: consumer.id, epoch: runner.epoch });
    const task = this.#runOwned(runner, work)
      .catch((thrown: unknown) => this.#failed.abort(toError(thrown)))
      .finally(() => {
        running.delete(consumer.id);
        this.#tasks.delete(task);
      });
    this.#tasks.add(task);
    running.set(consumer.id, { runner, ended: task });
  }

  async #runOwned(runner: ConsumerRunner, work: (runner: ConsumerRunner) => Promise<void>) {
    const { config, control, saver, reporter } = this.#options;
    const { consumerId, epoch } = runner;
    try {
      await work(runner);
    } finally {
      await saver.flush();
    }
    if (control.isClosed) return;
    if (runner.isFenced) {
      reporter.warn(`${consumerId} was taken over by another process; standing by for it.`);
      publishTransition({ type: 'consumer_lost', consumerId, epoch });
    } else {
      await control.run((client) => releaseOwnership(client, config.schema, { consumerId, epoch }));
      publishTransition({ type: 'consumer_released', consumerId });
    }
    await control.run((client) => unlockConsumer(client, config.schema, consumerId));
  }

  #standBy(consumerId: string): void {
    if (this.#standby.has(consumerId)) return;
    this.#standby.add(consumerId);
    this.#options.reporter.info(`${consumerId} is run by another process; standing by.`);
    publishTransition({ type: 'consumer_standby', consumerId });
  }
}

const OWNER = randomUUID();
const STANDBY_MS = 1000;
