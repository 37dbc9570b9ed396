import type { Client } from 'pg';
import { readLosses } from '../capture/losses.ts';
import type { Queryable } from '../database/connect.ts';
import { requireCurrentSchema } from '../database/migrate.ts';
import { isLocked } from '../database/passing.ts';
import { PgwatchError, toError } from '../errors.ts';
import { requireIdsAhead, requireOwnCluster } from '../log/origin.ts';
import { createPartitions } from '../log/partitions.ts';
import { sleep } from '../time.ts';
import { bytesText } from '../words.ts';
import { registerConsumers } from './registering.ts';
import type { Inside, Setup } from './session-options.ts';

/** What the maintenance tasks work with. */
export type UpkeepOptions = Pick<Setup, 'config' | 'reporter'> & Pick<Inside, 'pool'>;

/**
 * Checks the database and registers new consumers. Returns the id that requireOwnCluster() found.
 */
export async function prepare(options: Setup, client: Client): Promise<number> {
  const { config, reporter } = options;
  await requireCurrentSchema(client, config);
  const rebasedId = await requireOwnCluster(client, config);
  const { defaultBytes, failure } = await createPartitions(client, config);
  if (failure !== null) reporter.warn(failure);
  if (defaultBytes > DEFAULT_PARTITION_BYTES) {
    reporter.warn(
      `The log's default partition holds ${bytesText(defaultBytes)}, as after days without a ` +
        'daemon. Nothing is lost, but no partition can be created until it is cleaned up: ' +
        'run "pgwatch cleanup --before 1h", for example.',
    );
  }
  if (options.mode === 'once') {
    for (const warning of await lossWarnings(client, options)) reporter.warn(warning);
  }
  await registerConsumers(options, client);
  return rebasedId;
}

/**
 * Checks periodically that the log still matches the positions: the sequence may be set back, or
 * the log restored, while the daemon runs.
 * @throws PgwatchError cluster_restored
 */
export async function runOriginChecks(
  { config, pool }: UpkeepOptions,
  signal: AbortSignal,
): Promise<void> {
  for (let round = 1; ; round += 1) {
    await sleep(ORIGIN_MS, signal);
    if (signal.aborted) return;
    const check = round % WHOLE_ROUND === 0 ? requireOwnCluster : requireIdsAhead;
    try {
      await pool.withClient<unknown>((client) => check(client, config));
    } catch (thrown) {
      if (thrown instanceof PgwatchError && thrown.code === 'cluster_restored') throw thrown;
      // The parts that read the log meet the same error.
    }
  }
}

/** The changes that capture misses: nothing else would tell the operator of a daemon. */
async function lossWarnings(client: Queryable, { config }: Pick<Setup, 'config'>) {
  const losses = await readLosses(client, config);
  return losses.map(({ sentence }) => `${sentence} "pgwatch doctor" says what to do.`);
}

/** Warns at the start, as soon as there is something new, and again every hour. */
export async function runLossWarnings(
  { config, pool, reporter }: UpkeepOptions,
  signal: AbortSignal,
): Promise<void> {
  let told: string[] = [];
  for (let round = 0; !signal.aborted; round += 1) {
    try {
      const warnings = await pool.withClient(
        (client) => lossWarnings(client, { config }),
        isLocked,
      );
      const isTime = round % HOURLY_ROUND === 0;
      for (const each of warnings) if (isTime || !told.includes(each)) reporter.warn(each);
      told = warnings;
    } catch {
      // The parts that read the log meet the same error.
    }
    await sleep(LOSSES_MS, signal);
  }
}

/** Creates partitions ahead periodically: a daemon runs for months. */
export async function runPartitions(
  { config, pool, reporter }: UpkeepOptions,
  signal: AbortSignal,
): Promise<void> {
  let told: string | null = null;
  while (!signal.aborted) {
    await sleep(PARTITIONS_MS, signal);
    if (signal.aborted) return;
    try {
      const { failure } = await pool.withClient(
        (client) => createPartitions(client, config),
        isLocked,
      );
      if (failure !== null && failure !== told) reporter.warn(failure);
      told = failure;
    } catch (thrown) {
      // Not fatal: rows without a partition go to the default one.
      reporter.warn(`Could not create partitions: ${toError(thrown).message}`);
    }
  }
}

const PARTITIONS_MS = 600_000;
const LOSSES_MS = 60_000;
const HOURLY_ROUND = 60;
const ORIGIN_MS = 2000;
/** The full check, which reads part of the log, runs once a minute. */
const WHOLE_ROUND = 30;
/** As in log_partition_create(). */
const DEFAULT_PARTITION_BYTES = 16 * 2 ** 20;
