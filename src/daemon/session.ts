import type { Client } from 'pg';
import type { Config } from '../config/define.ts';
import type { Consumer, ConsumerContext } from '../consumers/define.ts';
import { requireCurrentSchema } from '../database/migrate.ts';
import type { Pool } from '../database/pool.ts';
import { toError } from '../errors.ts';
import { requireOwnCluster } from '../log/origin.ts';
import type { ReadPage } from '../log/page.ts';
import { createPartitions } from '../log/partitions.ts';
import { registerConsumer } from '../log/progress.ts';
import type { Reporter } from '../reporter.ts';
import { sleep } from '../time.ts';
import { publishTransition } from '../transitions.ts';
import { type Backend, Control } from './control.ts';
import { retryListening, startListening } from './listening.ts';
import { Ownership, type OwnershipOptions } from './ownership.ts';
import type { PositionSaver } from './position-saver.ts';
import { ConsumerRunner } from './runner.ts';
import { Tail } from './tail.ts';

export type SessionOptions = {
  config: Config;
  consumers: readonly Consumer[];
  /** Reads the log. */
  pool: Pool;
  handlerPool: Pool;
  saver: PositionSaver;
  reporter: Reporter;
  readPage: ReadPage;
  running: OwnershipOptions['running'];
  skipping: OwnershipOptions['skipping'];
  /** Aborts when a stop has taken so long that the database is not waited for any more. */
  cutOff: AbortSignal;
  /** The control connection before this one. */
  predecessor: Backend | null;
  /** Called once the connection stands. */
  onConnected(backend: Backend | null): void;
  contextFor(consumer: Consumer): ConsumerContext;
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
    const tail = new Tail({ ...options, control, rebasedId, channels });
    const ownership = new Ownership({
      ...options,
      control,
      makeRunner: (consumer, owned) =>
        new ConsumerRunner(
          { ...options, consumer, rebasedId, context: options.contextFor(consumer) },
          owned,
        ),
    });
    const parts =
      options.mode === 'once'
        ? [ownership.runOnce((runner) => runner.runToEnd(alive))]
        : [
            tail.run(alive),
            ownership.run(alive, signal, (runner) => runner.run(alive, tail)),
            retryListening({ config, control, reporter, channels }, alive),
            runPartitions(options, alive),
          ];
    // While the daemon stops, the network may die too.
    const untilEnd = AbortSignal.any([control.lost, ended.signal]);
    await untilAllEnd(parts, [control.runHeartbeat(untilEnd)], ended);
    if (control.lost.aborted && !signal.aborted) throw control.lost.reason;
  } catch (thrown) {
    // The connection's own end is the reason behind whatever else failed by it.
    throw control.lost.aborted ? control.lost.reason : thrown;
  } finally {
    ended.abort();
    await control.close();
  }
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

const PARTITIONS_MS = 600_000;
/** As in log_partition_create. */
const DEFAULT_PARTITION_BYTES = 16 * 2 ** 20;
