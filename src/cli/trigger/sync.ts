import type { Client } from 'pg';
import { applyChange } from '../../capture/apply.ts';
import { changesTo, changesToNone, type TriggerChange } from '../../capture/changes.ts';
import { readCaptures } from '../../capture/existing.ts';
import { type Capture, planCapture } from '../../capture/plan.ts';
import { findTable } from '../../capture/table.ts';
import { parseTableName, readDefaultSearchPath, tableText } from '../../capture/table-name.ts';
import type { Config } from '../../config/define.ts';
import { PgwatchError } from '../../errors.ts';
import { withSchema } from '../connected.ts';
import { type CommonOptions, type Outcome, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { applierFor, report } from './add.ts';

type SyncOptions = CommonOptions & { check?: boolean; json?: boolean };

/** Makes the captured tables those of the config, or says in what they differ. */
export async function sync(options: SyncOptions, outcome: Outcome): Promise<void> {
  const reporter = reporterFor(options);
  await withSchema(options, async (client, config) => {
    const plans = await planSync(client, config);
    const drift = plans.filter(({ change }) => change.kind !== 'unchanged');
    if (options.json) printJson(plans.map(({ change }) => toJson(change)));
    if (options.check) {
      outcome.exitCode = drift.length > 0 ? 1 : 0;
      for (const { change } of drift) reporter.info(describe(change));
      if (drift.length === 0) reporter.info(`The database matches ${plans.length} triggers.`);
      return;
    }
    const apply = applierFor(reporter, config);
    for (const { capture, change } of drift) {
      await applyChange(client, change, apply);
      if (capture) report(reporter, capture, change);
      else reporter.info(`Removed: ${tableText(change.table)} is captured no longer.`);
    }
    if (drift.length === 0) reporter.info('Nothing to do: the database matches the config.');
  });
}

type Plan = { capture: Capture | null; change: TriggerChange };

async function planSync(client: Client, config: Config): Promise<Plan[]> {
  if (config.triggers === null) {
    throw new PgwatchError(
      'config_invalid',
      "The config has no triggers: name the tables in pgwatch.config.ts, as in triggers: { users: {}, 'app.orders': { exclude: ['note'] } }.",
    );
  }
  const path = await readDefaultSearchPath(client);
  const existing = await readCaptures(client, config);
  const plans: Plan[] = [];
  for (const [text, options] of Object.entries(config.triggers)) {
    const table = await findTable(client, config, parseTableName(text), path);
    const capture = planCapture(table, options);
    const there = existing.find(({ tableOid }) => tableOid === table.oid);
    plans.push({ capture, change: changesTo(capture, there?.triggers ?? [], config) });
  }
  const wanted = new Set(plans.map(({ change }) => change.table.oid));
  for (const { tableOid, schema, name, triggers } of existing) {
    const table = { oid: tableOid, schema, name };
    const change = changesToNone(table, triggers, ({ isOurs }) => isOurs);
    if (!wanted.has(tableOid) && change.kind === 'removed') plans.push({ capture: null, change });
  }
  return plans;
}

function toJson({ table, kind, differences }: TriggerChange): Record<string, unknown> {
  return { schema: table.schema, table: table.name, kind, differences };
}

function describe({ table, kind, differences }: TriggerChange): string {
  const name = tableText(table);
  if (kind === 'added') return `Missing: ${name} is not captured.`;
  if (kind === 'removed') return `Too many: ${name} is captured, and not in the config.`;
  return `Different: ${name}, ${differences.join('; ') || 'its triggers'}.`;
}
