import type { Config } from '../../config/define.ts';
import type { Consumer } from '../../consumers/define.ts';
import { isLocked } from '../../database/passing.ts';
import { PgwatchError, toError } from '../../errors.ts';
import {
  type OwnerState,
  readLiveDaemons,
  readOwners,
  tellDaemons,
} from '../../log/positions/daemons.ts';
import { reachedId } from '../../log/positions/position.ts';
import { releaseOwnership } from '../../log/positions/progress.ts';
import type { Reporter } from '../../reporter.ts';
import { publishTransition } from '../../transitions.ts';
import type { Suspicions } from '../calls/suspicions.ts';
import { reportChannels } from '../control/channel-change.ts';
import type { Control } from '../control/control.ts';
import { Pauses } from '../control/pauses.ts';
import type { SessionPool } from '../control/session-pool.ts';
import type { AtWork, Running } from './at-work.ts';
import { type Decision, decideClaim } from './decide-claim.ts';
import type { ConsumerRunner } from './runner.ts';
import type { Settler } from './settler.ts';
import { spread } from './spread.ts';
import { type OwnedConsumer, takeConsumer } from './takeover.ts';

export type OwnershipOptions = {
  config: Config;
  control: Control;
  /** Used for takeovers: on the control connection, a slow takeover would look like silence. */
  pool: SessionPool;
  daemonId: string;
  /** The consumers that only one process at a time may run. */
  consumers: readonly Consumer[];
  settler: Settler;
  reporter: Reporter;
  /** once: takes consumers that no process runs now, and leaves the balancing to others. */
  mode: 'tail' | 'once';
  atWork: AtWork;
  /** Consumers whose missed notifications are to be skipped when they are first taken over. */
  skipping: Set<string>;
  suspicions: Suspicions;
  makeRunner(consumer: Consumer, owned: OwnedConsumer): ConsumerRunner;
};

/** A consumer and what is known about it. */
type Claimed = { consumer: Consumer; state: OwnerState; entry: Running | undefined; work: Work };

/** What to do with a consumer while it is owned; the signal aborts when it is to be released. */
type Work = (runner: ConsumerRunner, leave: AbortSignal) => Promise<void>;

/**
 * Owns and runs the consumers assigned to this process, and stands by for the others. Knowing which
 * daemons are alive only avoids wasted work; the epoch decides which one owns a consumer.
 */
export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #tasks = new Set<Promise<void>>();
  readonly #standby = new Set<string>();
  readonly #pauses: Pauses;
  readonly #failed = new AbortController();

  constructor(options: OwnershipOptions) {
    this.#options = options;
    this.#pauses = new Pauses(options.reporter);
  }

  /**
   * Runs its consumers until the session ends. If the daemon stops, it waits for the handlers. If
   * the session fails, it does not: a handler that hangs must not hold up the other consumers.
   */
  async run(session: AbortSignal, stop: AbortSignal, work: Work): Promise<void> {
    const { control, config, atWork } = this.#options;
    const ended = AbortSignal.any([session, this.#failed.signal]);
    // Consumers of the previous session can be claimed once their handlers have returned.
    for (const { ended: leaving } of atWork.all) {
      void leaving.then(() => control.owners.ring());
    }
    while (!ended.aborted) {
      control.owners.clear();
      const isStandingBy = await this.#claim(work);
      // Without LISTEN it polls for changes that other daemons make.
      const isLooking = isStandingBy || !control.isListening;
      await control.owners.wait(isLooking ? STANDBY_MS : config.heartbeatIntervalMs, ended);
    }
    if (stop.aborted) await this.#finish();
    if (this.#failed.signal.aborted) throw this.#failed.signal.reason;
  }

  /** Runs every consumer that no process runs now, each until its work returns. */
  async runOnce(work: Work): Promise<void> {
    await this.#claim(work);
    const finished = new AbortController();
    // It fails if the connection does; running handlers are waited for even so.
    const watching = this.#watchPauses(finished.signal).catch((thrown: unknown) =>
      this.#failed.abort(toError(thrown)),
    );
    await this.#finish().finally(() => finished.abort());
    await watching;
  }

  async #finish(): Promise<void> {
    await Promise.all(this.#tasks);
    if (this.#failed.signal.aborted) throw this.#failed.signal.reason;
  }

  /**
   * Takes the consumers assigned to this process and releases others. True if it stands by for any.
   */
  async #claim(work: Work): Promise<boolean> {
    const { config, control, daemonId, consumers, mode, atWork } = this.#options;
    const { owners, daemons } = await control.run(async (client) => ({
      owners: await readOwners(client, config.schema),
      daemons: await readLiveDaemons(client, config.schema),
    }));
    const targets = spread(owners, daemons);
    let isStandingBy = false;
    for (const consumer of consumers) {
      const state = owners.find(({ consumerId }) => consumerId === consumer.id);
      if (!state) throw positionMissing(consumer.id);
      const entry = atWork.get(consumer.id);
      // This process was frozen for a while, for example. Fence the consumer without waiting for
      // the next settlement to fail.
      if (entry && entry.runner.dispatcher.epoch !== state.epoch) {
        entry.runner.dispatcher.life.fence();
      }
      const isOfThisSession = entry && this.#tasks.has(entry.ended);
      const running = !entry ? 'no' : isOfThisSession ? 'now' : 'since before';
      const target = targets.get(consumer.id);
      const claim = decideClaim({ state, running, daemonId, mode, target, daemons });
      const mayComeLater = await this.#act(claim, { consumer, state, entry, work });
      isStandingBy ||= mayComeLater;
    }
    return isStandingBy;
  }

  /** Returns true if this process may get the consumer later. */
  async #act(claim: Decision, about: Claimed): Promise<boolean> {
    const { daemonId, reporter } = this.#options;
    const { consumer, state, entry, work } = about;
    const { consumerId, liveOwner, epoch } = state;
    switch (claim) {
      case 'pause':
        await this.#pause(state, entry);
        return true;
      case 'hand over':
        if (entry && !entry.leave.signal.aborted) {
          reporter.info(`${consumerId} moves to a process that runs fewer consumers.`);
          entry.leave.abort();
        }
        return false;
      case 'let go':
        reporter.info(
          `${consumerId} is released to another process: a handler here has not returned yet.`,
        );
        await this.#release(consumerId, epoch);
        return false;
      case 'stand by':
        // Left from an earlier session: other daemons do not take it from a process that is alive.
        if (liveOwner === daemonId) await this.#release(consumerId, epoch);
        this.#standBy(consumerId);
        return true;
      case 'take': {
        const isTaken = await this.#start(consumer, state, work);
        if (!isTaken) this.#standBy(consumerId);
        return !isTaken;
      }
      default:
        return false;
    }
  }

  /** Pauses a consumer: its running handlers finish, and then it has no owner. */
  async #pause({ consumerId, pausedUntil, liveOwner, epoch }: OwnerState, entry?: Running) {
    this.#standby.delete(consumerId);
    this.#pauses.begin({ consumerId, pausedUntil });
    if (entry) entry.leave.abort();
    else if (liveOwner === this.#options.daemonId) await this.#release(consumerId, epoch);
  }

  /** For a run with --once, which does not check for pauses otherwise. */
  async #watchPauses(finished: AbortSignal): Promise<void> {
    const { control, config, atWork } = this.#options;
    while (!finished.aborted) {
      control.owners.clear();
      const owners = await control.run((client) => readOwners(client, config.schema));
      for (const state of owners.filter(({ isPaused }) => isPaused)) {
        const entry = atWork.get(state.consumerId);
        if (entry) await this.#pause(state, entry);
      }
      await control.owners.wait(STANDBY_MS, finished);
    }
  }

  /** Returns false if another process was faster, or holds a lock on the consumer's rows. */
  async #start(consumer: Consumer, { epoch }: OwnerState, work: Work): Promise<boolean> {
    const { control, atWork, reporter } = this.#options;
    const owned = await this.#takeOver(consumer, epoch);
    if (!owned) return false;
    const runner = this.#options.makeRunner(consumer, owned);
    const { id: consumerId } = consumer;
    if (this.#standby.delete(consumerId)) reporter.info(`Took over ${consumerId}.`);
    this.#pauses.end(consumerId);
    const { previousChannels, position } = owned;
    reportChannels(reporter, consumer, { previousChannels, reachedId: reachedId(position) });
    if (owned.isSuspect) {
      reporter.info(
        `${consumerId} was not stopped cleanly: calls for the notifications that it may have ` +
          'been handling are recorded first.',
      );
    }
    publishTransition({ type: 'consumer_owned', consumerId, epoch: owned.epoch });
    const { ended } = atWork.start(runner, (leave) =>
      this.#runOwned(runner, leave, work).catch((thrown: unknown) =>
        this.#failed.abort(toError(thrown)),
      ),
    );
    this.#tasks.add(ended);
    void ended.then(() => {
      this.#tasks.delete(ended);
      control.owners.ring();
    });
    // Deliveries left by the previous owner may be due.
    control.retries.ring();
    return true;
  }

  async #takeOver(consumer: Consumer, seenEpoch: number): Promise<OwnedConsumer | null> {
    const { config, pool, daemonId, skipping, suspicions, reporter } = this.#options;
    const isDoubted = suspicions.isDoubted(consumer.id);
    const excused = suspicions.excused(consumer.id);
    suspicions.doubt(consumer.id);
    const isSkipping = skipping.has(consumer.id);
    const claim = { daemonId, seenEpoch, isDoubted, excused, isSkipping };
    const takingOver = pool.withClient(
      (client) => takeConsumer(client, config.schema, consumer, claim),
      isLocked,
    );
    const taken = await takingOver.catch((thrown: unknown) => {
      if (isLocked(thrown)) return null;
      throw thrown;
    });
    if (taken) {
      if (skipping.delete(consumer.id)) {
        reporter.info(`${consumer.id} skips everything up to id ${reachedId(taken.position)}.`);
      }
      suspicions.trust(consumer.id);
      suspicions.forgetExcused(consumer.id);
    }
    return taken;
  }

  async #runOwned(runner: ConsumerRunner, leave: AbortSignal, work: Work): Promise<void> {
    const { control, settler, reporter } = this.#options;
    const { consumerId, epoch, life } = runner.dispatcher;
    try {
      await work(runner, leave);
    } finally {
      await settler.flush();
    }
    // If this fails, one attempt too many is counted.
    if (life.isFenced) await runner.dispatcher.takeBackAttempts().catch(() => {});
    if (control.isClosed) return;
    if (life.isFenced) {
      reporter.warn(
        `${consumerId} was taken over by another process, its position was moved manually, or ` +
          'PostgreSQL has recovered from a crash or reset its statistics: ' +
          'this process releases it.',
      );
      publishTransition({ type: 'consumer_lost', consumerId, epoch });
      return;
    }
    await this.#release(consumerId, epoch);
    publishTransition({ type: 'consumer_released', consumerId });
  }

  async #release(consumerId: string, epoch: number): Promise<void> {
    const { config, control } = this.#options;
    await control.run(async (client) => {
      await releaseOwnership(client, config.schema, { consumerId, epoch });
      await tellDaemons(client, config.schema, 'owners');
    });
  }

  #standBy(consumerId: string): void {
    this.#pauses.end(consumerId);
    if (this.#standby.has(consumerId)) return;
    this.#standby.add(consumerId);
    this.#options.reporter.info(`Another process runs ${consumerId}; standing by.`);
    publishTransition({ type: 'consumer_standby', consumerId });
  }
}

function positionMissing(consumerId: string): PgwatchError {
  return new PgwatchError(
    'position_missing',
    `The position of ${consumerId} was deleted; registering it again.`,
  );
}

const STANDBY_MS = 1000;
