import type { Client } from 'pg';
import type { Config } from '../../config/define.ts';
import { advisoryText, readAdvisoryHolders } from '../../database/advisory.ts';
import { PgwatchError } from '../../errors.ts';
import { needText, pinningAdvice } from '../../inspect/cleanup/pinning.ts';
import { createPartitions } from '../../log/partitions.ts';
import { type Cleaned, cleanLog, forgetRemoved } from '../../log/retention/clean-log.ts';
import { readPinning } from '../../log/retention/pins.ts';
import { planCleanup } from '../../log/retention/plan.ts';
import { lockCleanup, mayForce } from '../../log/retention/steps.ts';
import { timeAgo } from '../../log/retention/time-ago.ts';
import type { StreamReporter } from '../../reporter.ts';
import { formatDuration, sleep } from '../../time.ts';
import { countOf } from '../../words.ts';
import { confirm } from '../confirm.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { stopSignal } from '../stop-signal.ts';
import { printJson } from '../table.ts';
import type { CleanupOptions } from './options.ts';
import { planJson, printPlan } from './plan.ts';
import { CleanupProgress } from './progress.ts';
import { cleanedJson, cleanedText } from './result.ts';

/** Removes old notifications, or prints what would be removed. */
export async function cleanup(options: CleanupOptions, outcome: CommandResult): Promise<void> {
  requireOneTime(options);
  const reporter = reporterFor(options);
  await withDatabase(options, { mode: 'change' }, async (client, config) => {
    const before = await timeOf(client, options);
    if (options.dryRun) return dryRun(client, config, { before, options, reporter, outcome });
    if (!(await isOurs(client, config))) {
      outcome.exitCode = 1;
      const holders = await readAdvisoryHolders(client, config.schema);
      const held = holders.filter(({ what }) => what === 'cleanup').map(advisoryText);
      reporter.error(
        'Another session is cleaning up, or holds the cleanup lock' +
          `${held.length > 0 ? `: ${held.join('; ')}` : ''}. Try again when it is done.`,
      );
      return;
    }
    const run = { before, options, reporter, outcome };
    if (options.force && !(await mayForce(client, config.schema))) {
      throw new PgwatchError(
        'permission_denied',
        'Only the role that installed pgwatch may remove what consumers have not handled: ' +
          'run this as that role, or without --force.',
      );
    }
    if (options.force && !(await isMeant(client, config, run))) return;
    await clean(client, config, run);
  });
}

/** Retries, because a daemon holds the lock only for a moment at a time. */
async function isOurs(client: Client, { schema }: Config): Promise<boolean> {
  for (let attempt = 1; attempt <= 10; attempt++) {
    if (await lockCleanup(client, schema)) return true;
    await sleep(100, new AbortController().signal);
  }
  return false;
}

type Run = {
  before: Date;
  options: CleanupOptions;
  reporter: StreamReporter;
  outcome: CommandResult;
};

async function dryRun(client: Client, { schema }: Config, run: Run): Promise<void> {
  const { before, options, reporter, outcome } = run;
  const plans = await planCleanup(client, schema, before);
  const pins = options.force ? [] : plans.flatMap((plan) => plan.pins);
  if (options.json) printJson(planJson(plans, before));
  else if (plans.length > 0) printPlan(plans, options.force ?? false);
  if (plans.length === 0) reporter.info(`Nothing is older than ${before.toISOString()}.`);
  await adviseAbout(client, schema, { pins, reporter, outcome });
}

/** Asks for confirmation if consumers would miss something. */
async function isMeant(client: Client, { schema }: Config, run: Run): Promise<boolean> {
  const plans = await planCleanup(client, schema, run.before);
  const needs = needText(plans.flatMap(({ pins }) => pins));
  const question = `Remove notifications that are still needed: ${needs}?`;
  return needs === '' || confirm(question, run.options, run);
}

async function clean(client: Client, config: Config, run: Run): Promise<void> {
  const { before, options, reporter, outcome } = run;
  const startedAt = performance.now();
  const signal = stopSignal(reporter);
  const progress = new CleanupProgress(reporter);
  const cleaning = {
    schema: config.schema,
    before,
    needed: options.force ? ('remove' as const) : ('keep' as const),
    patienceMs: PATIENCE_MS,
    signal,
  };
  const results: Cleaned[] = [];
  for await (const cleaned of cleanLog(client, {
    ...cleaning,
    scope: 'all',
    onBegin: (partition) => progress.begin(partition),
    onRemoved: (removed, total) => progress.update(removed, total),
  })) {
    results.push(cleaned);
    progress.end();
    if (!options.json) reporter.info(cleanedText(cleaned));
  }
  const eventIds = await forgetRemoved(client, cleaning);
  progress.end();
  // A large default partition may have kept them from being created.
  const { created, failure } = await createPartitions(client, config);
  if (failure !== null) reporter.warn(failure);
  const pins = results.flatMap((cleaned) => cleaned.pins);
  if (options.json) printJson(cleanedJson({ before, results, eventIds }));
  else {
    if (created.length > 0) reporter.info(`Created ${countOf(created.length, 'partition')} ahead.`);
    if (eventIds > 0) reporter.info(`Forgot ${countOf(eventIds, 'event id')}.`);
    if (results.length === 0) reporter.info(`Nothing is older than ${before.toISOString()}.`);
    else reporter.info(`Done in ${formatDuration(performance.now() - startedAt)}.`);
  }
  if (signal.aborted || results.some((cleaned) => cleaned.outcome === 'locked')) {
    outcome.exitCode = 1;
  }
  await adviseAbout(client, config.schema, { pins, reporter, outcome });
}

async function adviseAbout(
  client: Client,
  schema: string,
  about: Pick<Run, 'reporter' | 'outcome'> & { pins: Cleaned['pins'] },
): Promise<void> {
  const { pins, reporter, outcome } = about;
  if (pins.length === 0) return;
  outcome.exitCode = 1;
  const consumers = await readPinning(client, schema, [
    ...new Set(pins.map(({ consumerId }) => consumerId)),
  ]);
  for (const consumer of consumers) {
    reporter.warn(pinningAdvice(consumer, pins), { consumer: consumer.consumerId });
  }
}

/** @throws PgwatchError usage */
function requireOneTime({ days, before }: CleanupOptions): void {
  if ((days === undefined) !== (before === undefined)) return;
  throw new PgwatchError(
    'usage',
    'Give either --days or --before, for example --days 7 or --before 2026-11-01.',
  );
}

/** @throws PgwatchError usage if the time is in the future */
async function timeOf(client: Client, { days = 0, before }: CleanupOptions): Promise<Date> {
  if (!(before instanceof Date)) return timeAgo(client, before?.ageMs ?? days * DAY_MS);
  if (before <= (await timeAgo(client, 0))) return before;
  throw new PgwatchError('usage', `--before must be in the past, not ${before.toISOString()}.`);
}

const DAY_MS = 86_400_000;
/** How long it tries again to lock what other sessions have locked. */
const PATIENCE_MS = 10_000;
