import { applyChange } from '../../capture/apply.ts';
import { changesTo, exposureOf, type TriggerChange } from '../../capture/changes.ts';
import { readCaptures } from '../../capture/existing.ts';
import { type Capture, planCapture } from '../../capture/plan.ts';
import { overPresent } from '../../capture/present.ts';
import { tableText } from '../../capture/table-name.ts';
import type { Names } from '../../database/names.ts';
import { PgwatchError } from '../../errors.ts';
import type { StreamReporter } from '../../reporter.ts';
import { withDatabase } from '../database.ts';
import { reporterFor } from '../options.ts';
import { stopSignal } from '../stop-signal.ts';
import { type AddOptions, triggerOptionsFrom } from './options.ts';
import { chooseTables } from './tables.ts';

/** Captures tables as the options say, and reports what changed. */
export async function add(texts: readonly string[], options: AddOptions): Promise<void> {
  const asked = triggerOptionsFrom(options);
  const reporter = reporterFor(options);
  await withDatabase(options, { mode: 'change' }, async (client, config) => {
    const tables = await chooseTables(client, config, texts, options);
    const existing = await readCaptures(
      client,
      config,
      tables.map(({ oid }) => oid),
    );
    const triggersOf = new Map(existing.map(({ tableOid, triggers }) => [tableOid, triggers]));
    // Plan everything first: errors are raised before anything is changed.
    const plans = tables.map((table) => {
      const there = triggersOf.get(table.oid) ?? [];
      const { options: wanted, kept } = overPresent(table, options.reset ? [] : there, asked);
      const capture = planCapture(table, wanted, config);
      return { capture, change: changesTo(capture, there, config), kept };
    });
    const exposing = plans.find(({ change }) => change.exposed.length > 0);
    if (options.all && exposing) throw wouldExpose(exposing.change);
    if (options.dryRun) {
      for (const { capture, change, kept } of plans) {
        reportKept(reporter, capture, kept);
        if (change.kind !== 'unchanged') warn(reporter, capture, change);
      }
      return printStatements(plans.map(({ change }) => change));
    }
    const apply = applierFor(reporter, config);
    for (const { capture, change, kept } of plans) {
      await applyChange(client, change, apply);
      report(reporter, capture, change);
      reportKept(reporter, capture, kept);
    }
  });
}

/** Reports what was done about a table, with its warnings. */
export function report(reporter: StreamReporter, capture: Capture, change: TriggerChange): void {
  const name = tableText(capture.table);
  const { channel = 'data_change' } = capture.options;
  const operations = capture.triggers.map(({ operation }) => operation).join(', ');
  const { forEach, reason } = capture.level;
  const level = `for each ${forEach}${reason ? ` (${reason})` : ''}`;
  const said: Record<TriggerChange['kind'], string> = {
    added: `Captured: ${name}, ${operations}, on channel ${channel}, ${level}.`,
    changed: `Changed: ${name}, ${change.differences.join('; ') || 'triggers created again'}.`,
    unchanged: `Unchanged: ${name} is already captured this way.`,
    removed: `Removed: ${name} is no longer captured.`,
  };
  reporter.info(said[change.kind]);
  if (change.kind !== 'unchanged') warn(reporter, capture, change);
}

/** The warnings about a change of a capture, whether it is applied, printed or only checked. */
export function warn(
  reporter: StreamReporter,
  { table, warnings }: Capture,
  { exposed }: TriggerChange,
): void {
  for (const warning of warnings) reporter.warn(warning);
  for (const warning of exposureOf({ table, exposed })) reporter.warn(warning);
}

/** Reports options that were not given and keep their values. */
export function reportKept(
  reporter: StreamReporter,
  { table }: Capture,
  kept: readonly string[],
): void {
  if (kept.length === 0) return;
  reporter.info(`Kept: ${tableText(table)}, ${kept.join('; ')}. --reset restores the defaults.`);
}

function wouldExpose({ table, exposed }: TriggerChange): PgwatchError {
  return new PgwatchError(
    'usage',
    `${tableText(table)} excludes ${exposed.join(', ')}, which --all would add to its ` +
      'notifications: leave the table out with --except, or give --exclude, too. ' +
      'Nothing was changed.',
  );
}

/** How long DDL waits for its lock, and how it reports that it waits. */
export function applierFor(reporter: StreamReporter, names: Names) {
  return {
    names,
    patienceMs: PATIENCE_MS,
    onWaiting: (message: string) => reporter.info(message),
    signal: stopSignal(reporter),
  };
}

/** Prints statements on stdout, as a script. */
export function printStatements(changes: readonly Pick<TriggerChange, 'statements'>[]): void {
  const statements = changes.flatMap((change) => change.statements);
  process.stdout.write(statements.map((statement) => `${statement};\n`).join('\n'));
}

const PATIENCE_MS = 30_000;
