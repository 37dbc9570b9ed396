import type { Client } from 'pg';
import { applyChange } from '../../capture/apply.ts';
import type { TriggerChange } from '../../capture/changes.ts';
import { type CapturePlan, planCaptures } from '../../capture/drift.ts';
import { tableText } from '../../capture/table-name.ts';
import type { Config } from '../../config/define.ts';
import { PgwatchError } from '../../errors.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { applierFor, report, warn } from './add.ts';
import type { SyncOptions } from './options.ts';

/** Makes the captured tables match the config, or reports the differences. */
export async function sync(options: SyncOptions, outcome: CommandResult): Promise<void> {
  const reporter = reporterFor(options);
  await withDatabase(options, { mode: 'change' }, async (client, config) => {
    const plans = await planSync(client, config);
    const drift = plans.filter(({ change }) => change.kind !== 'unchanged');
    if (options.json) printJson(plans.map(({ change }) => toJson(change)));
    if (options.check) {
      outcome.exitCode = drift.length > 0 ? 1 : 0;
      for (const { capture, change } of drift) {
        reporter.info(describe(change));
        if (capture) warn(reporter, capture, change);
      }
      if (drift.length === 0) reporter.info(`The database matches ${plans.length} triggers.`);
      return;
    }
    const apply = applierFor(reporter, config);
    for (const { capture, change } of drift) {
      await applyChange(client, change, apply);
      if (capture) report(reporter, capture, change);
      else reporter.info(`Removed: ${tableText(change.table)} is no longer captured.`);
    }
    if (drift.length === 0) reporter.info('Nothing to do: the database matches the config.');
  });
}

async function planSync(client: Client, config: Config): Promise<CapturePlan[]> {
  if (config.triggers === null) {
    throw new PgwatchError(
      'config_invalid',
      'The config has no triggers: list the tables in pgwatch.config.ts, for example ' +
        "triggers: { users: {}, 'app.orders': { exclude: ['note'] } }.",
    );
  }
  return planCaptures(client, config, config.triggers);
}

function toJson({ table, kind, differences }: TriggerChange): Record<string, unknown> {
  return { schema: table.schema, table: table.name, kind, differences };
}

function describe({ table, kind, differences }: TriggerChange): string {
  const name = tableText(table);
  if (kind === 'added') return `Missing: ${name} is not captured.`;
  if (kind === 'removed') return `Extra: ${name} is captured, but not in the config.`;
  return `Different: ${name}, ${differences.join('; ') || 'its triggers'}.`;
}
