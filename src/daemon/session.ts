import type { Client } from 'pg';
import type { Config } from '../config/define.ts';
import type { Consumer } from '../consumers/define.ts';
import { requireCurrentSchema } from '../database/migrate.ts';
import type { Pool } from '../database/pool.ts';
import { PgwatchError, toError } from '../errors.ts';
import { requireOwnCluster } from '../log/origin.ts';
import type { ReadPage } from '../log/page.ts';
import { createPartitions } from '../log/partitions.ts';
import { registerConsumer } from '../log/progress.ts';
import type { Reporter } from '../reporter.ts';
import { sleep } from '../time.ts';
import { publishTransition } from '../transitions.ts';
import type { Calling } from './calling.ts';
import { type Backend, Control } from './control.ts';
import { retryListening, startListening } from './listening.ts';
import { Membership } from './membership.ts';
import { Ownership, type OwnershipOptions } from './ownership.ts';
import { retryDue, runRetries } from './retries.ts';
import { ConsumerRunner } from './runner.ts';
import type { Settler } from './settler.ts';
import { SharedRunner } from './shared-runner.ts';
import { runShared, type SharingOptions } from './sharing.ts';
import { Tail } from './tail.ts';

export type SessionOptions = {
  config: Config;
  consumers: readonly Consumer[];
  /** Reads the log. */
  pool: Pool;
  handlerPool: Pool;
  settler: Settler;
  reporter: Reporter;
  readPage: ReadPage;
  running: OwnershipOptions['running'];
  sharing: SharingOptions['sharing'];
  skipping: OwnershipOptions['skipping'];
  /** Aborts when a stop has taken so long that the database is not waited for any more. */
  cutOff: AbortSignal;
  daemonId: string;
  /** The control connection before this one. */
  predecessor: Backend | null;
  /** Called once the connection stands. */
  onConnected(backend: Backend | null): void;
  callingFor(consumer: Consumer): Calling;
  /** tail: until the signal aborts. once: until everything visible is handled. */
  mode: 'tail' | 'once';
};

/**
 * One life of the control connection. The order matters: listen, then read the positions from the
 * database, then read the log, then tail; and all of it again in the next session. Nothing is
 * carried over, because a failover may have taken back what was read before.
 * @throws whatever ends the session, other than the signal
 */
export async function runSession(options: SessionOptions, signal: AbortSignal): Promise<void> {
  const { config, consumers, pool, reporter, cutOff } = options;
  const control = await Control.open(config, options.predecessor);
  options.onConnected(control.backend);
  const ended = new AbortController();
  const alive = AbortSignal.any([signal, control.lost, ended.signal]);
  // Reads that wait for a lock, or on a dead network, would keep the session from ending.
  control.lost.addEventListener('abort', () => {
    pool.reset();
    if (control.isSilent) options.handlerPool.reset();
  });
  const onCutOff = () => control.abandon();
  if (cutOff.aborted) onCutOff();
  else cutOff.addEventListener('abort', onCutOff, { signal: ended.signal });
  try {
    const rebasedId = await control.run((client) => prepare(options, client));
    const channels = [...new Set(consumers.flatMap((consumer) => consumer.channels))].sort();
    await startListening({ config, control, reporter, channels });
    const membership = membershipOf(options, control);
    await membership.join();
    const found = { control, rebasedId, channels };
    const parts =
      options.mode === 'once'
        ? [runAllOnce(options, found, alive)]
        : tailing(options, found, alive, signal);
    // While the daemon stops, the network may die too, and others must know that it is alive.
    const untilEnd = AbortSignal.any([control.lost, ended.signal]);
    await untilAllEnd(parts, [membership.run(untilEnd)], ended);
    if (control.lost.aborted && !signal.aborted) throw control.lost.reason;
    await membership.leave();
  } catch (thrown) {
    // The connection's own end is the reason behind whatever else failed by it.
    throw control.lost.aborted ? control.lost.reason : thrown;
  } finally {
    ended.abort();
    await control.close();
  }
}

type Found = {
  control: Control;
  rebasedId: number;
  /** What any of the daemon's consumers wants. */
  channels: readonly string[];
};

function membershipOf(options: SessionOptions, control: Control): Membership {
  const { config, daemonId, consumers, mode } = options;
  const idsOf = (isShared: boolean) =>
    consumers.filter((consumer) => consumer.isShared === isShared).map(({ id }) => id);
  // One that runs to the end takes what is free, and no consumer is kept for it.
  const consumerIds = mode === 'once' ? [] : idsOf(false);
  return new Membership({ config, control, daemonId, consumerIds, sharedIds: idsOf(true) });
}

/** What runs until the session ends. */
function tailing(
  options: SessionOptions,
  found: Found,
  alive: AbortSignal,
  stop: AbortSignal,
): Promise<void>[] {
  const { config, pool, running, reporter } = options;
  const { control, channels } = found;
  const tail = new Tail({ ...options, ...found });
  const owning = ownershipOf(options, found).run(alive, stop, (runner, leave) =>
    runner.run(AbortSignal.any([alive, leave]), tail),
  );
  const sharing = runShared(sharingOf(options, found), alive, stop, (runner) =>
    runner.run(alive, tail),
  );
  const retries = runRetries({ config, control, pool, running }, alive);
  const listening = retryListening({ config, control, reporter, channels }, alive);
  return [tail.run(alive), owning, sharing, retries, listening, runPartitions(options, alive)];
}

/**
 * Hands out what is there now, and what is due again.
 * @throws PgwatchError handler_failed where something failed, once everything else is done
 */
async function runAllOnce(
  options: SessionOptions,
  found: Found,
  alive: AbortSignal,
): Promise<void> {
  const { config, pool, settler } = options;
  const failed: string[] = [];
  await ownershipOf(options, found).runOnce(async (runner) => {
    const { delivery } = runner;
    await runner.runToEnd(alive, async () => {
      do {
        await delivery.untilIdle();
        await settler.flush();
      } while (!alive.aborted && (await retryDue([delivery], pool, config.schema)) > 0);
    });
    const { failedCount, isHalted, consumerId } = delivery;
    if (failedCount > 0) failed.push(`${failedCount} of ${consumerId}`);
    else if (isHalted) failed.push(`an earlier one of ${consumerId}, which stops at it`);
  });
  const sharing = sharingOf(options, found);
  await runShared(sharing, alive, alive, (runner) => runner.runToEnd(alive));
  if (failed.length === 0) return;
  throw new PgwatchError(
    'handler_failed',
    `Notifications failed: ${failed.join(', ')}. They are tried again when their time comes; pgwatch dlq list --state all shows them.`,
  );
}

function ownershipOf(options: SessionOptions, { control, rebasedId }: Found): Ownership {
  const { config } = options;
  return new Ownership({
    ...options,
    consumers: options.consumers.filter(({ isShared }) => !isShared),
    control,
    makeRunner: (consumer, owned, newest) => {
      const runnerOptions = {
        ...options,
        schema: config.schema,
        calling: options.callingFor(consumer),
        rebasedId,
        openRowsMax: OPEN_PAGES_MAX * config.maxBatchSize,
        onWaiting: () => control.retries.ring(),
      };
      return new ConsumerRunner(runnerOptions, owned, newest);
    },
  });
}

function sharingOf(options: SessionOptions, { control, rebasedId }: Found): SharingOptions {
  const { schema } = options.config;
  return {
    ...options,
    schema,
    control,
    consumers: options.consumers.filter(({ isShared }) => isShared),
    makeRunner: (consumer) => {
      const calling = options.callingFor(consumer);
      return new SharedRunner({ ...options, schema, calling, rebasedId });
    },
  };
}

/** Waits for all parts; the first that fails ends the others, and is thrown once all have ended. */
async function untilAllEnd(
  parts: Promise<void>[],
  companions: Promise<void>[],
  ended: AbortController,
): Promise<void> {
  const failures: unknown[] = [];
  const watch = (part: Promise<void>) =>
    part.catch((thrown: unknown) => {
      failures.push(thrown);
      ended.abort();
    });
  const watched = companions.map(watch);
  await Promise.all(parts.map(watch));
  ended.abort();
  await Promise.all(watched);
  if (failures.length > 0) throw failures[0];
}

/**
 * Checks the database, and registers new consumers. Returns the id that requireOwnCluster found.
 */
async function prepare(
  { config, consumers, reporter }: SessionOptions,
  client: Client,
): Promise<number> {
  await requireCurrentSchema(client, config);
  const rebasedId = await requireOwnCluster(client, config);
  const { defaultBytes } = await createPartitions(client, config);
  if (defaultBytes > DEFAULT_PARTITION_BYTES) {
    reporter.warn(
      `The log's default partition holds ${Math.round(defaultBytes / 2 ** 20)} MB, as after days without a daemon. Nothing is lost, but no partition is created until what is no longer needed there is deleted from ${config.schema}.notification_log_default.`,
    );
  }
  for (const consumer of consumers) {
    if (await registerConsumer(client, config.schema, consumer)) {
      publishTransition({ type: 'consumer_registered', consumerId: consumer.id });
      const from = consumer.from instanceof Date ? consumer.from.toISOString() : consumer.from;
      reporter.info(`${consumer.id} is new; it begins at ${from}.`, { consumer: consumer.id });
    }
  }
  return rebasedId;
}

/** Creates partitions ahead, again and again: a daemon runs for months. */
async function runPartitions(
  { config, pool, reporter }: SessionOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await sleep(PARTITIONS_MS, signal);
    if (signal.aborted) return;
    try {
      await pool.withClient((client) => createPartitions(client, config));
    } catch (thrown) {
      // Not fatal: what finds no partition goes to the default one.
      reporter.warn(`Partitions cannot be created: ${toError(thrown).message}`);
    }
  }
}

/** How many pages may be read while an earlier notification takes its time. */
const OPEN_PAGES_MAX = 20;
const PARTITIONS_MS = 600_000;
/** As in log_partition_create. */
const DEFAULT_PARTITION_BYTES = 16 * 2 ** 20;
