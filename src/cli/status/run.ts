import { readInTheWay } from '../../database/in-the-way.ts';
import { PgwatchError } from '../../errors.ts';
import { findingsOf } from '../../inspect/findings.ts';
import { readStatus, type Status } from '../../inspect/status.ts';
import { statusReport } from '../../inspect/status-report.ts';
import { jsonText, onOneLine } from '../../lines.ts';
import { countOf } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { attentionFirst } from './attention.ts';
import { statusLines } from './lines.ts';
import type { StatusOptions } from './options.ts';
import { watch } from './watch.ts';

/** Shows the state of consumers: once, repeatedly, or only problems. */
export async function status(
  ids: readonly string[],
  options: StatusOptions,
  outcome: CommandResult,
): Promise<void> {
  requireFitting(options);
  const consumerIds = ids.length > 0 ? ids : null;
  if (options.watch) {
    const linesOf = (found: Status) =>
      // If blocks are printed one after another, each ends with an empty line.
      options.json ? [jsonText(statusReport(found), 0)] : [...statusLines(attended(found)), ''];
    return watch(options, { consumerIds, linesOf, intervalMs: options.interval ?? INTERVAL_MS });
  }
  const { inTheWay, ...found } = await withDatabase(
    options,
    { mode: 'read', consumers: ids },
    async (client, { schema }) => ({
      ...(await readStatus(client, schema, consumerIds)),
      inTheWay: await readInTheWay(client, schema),
    }),
  );
  for (const sentence of inTheWay) reporterFor(options).warn(sentence);
  if (options.check) outcome.exitCode = check(found, options);
  else if (options.json) printJson(statusReport(found));
  else process.stdout.write(`${statusLines(found).join('\n')}\n`);
}

function attended(found: Status): Status {
  return { ...found, consumers: attentionFirst(found.consumers) };
}

/** Prints the problems, one per line, or that there are none. Returns the exit code. */
function check(found: Status, options: StatusOptions): number {
  const { maxLag = null, maxAge: maxAgeMs = null, maxDead = null } = options;
  const findings = findingsOf(found, { maxLag, maxAgeMs, maxDead });
  const exitCode = findings.length === 0 ? 0 : 1;
  if (options.json) {
    printJson({ ok: exitCode === 0, at: found.at, findings });
    return exitCode;
  }
  const { consumers } = found;
  const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);
  const unread = sum(consumers.map((consumer) => consumer.unread));
  const dead = sum(consumers.map((consumer) => consumer.dead));
  const fine =
    `OK: ${countOf(consumers.length, 'consumer')}, ${unread.toLocaleString('en')} unread, ` +
    `${countOf(dead, 'dead letter')}.`;
  const lines = findings.map(({ consumerId, message }) => onOneLine(`${consumerId}: ${message}.`));
  process.stdout.write(`${(exitCode === 0 ? [fine] : lines).join('\n')}\n`);
  return exitCode;
}

/** @throws PgwatchError usage */
function requireFitting(options: StatusOptions): void {
  const { maxLag, maxAge, maxDead, interval } = options;
  const refuse = (message: string) => {
    throw new PgwatchError('usage', message);
  };
  if (options.check && options.watch) refuse('--check cannot be combined with --watch.');
  const hasLimits = [maxLag, maxAge, maxDead].some((limit) => limit !== undefined);
  if (hasLimits && !options.check) refuse('--max-lag, --max-age and --max-dead require --check.');
  if (interval === undefined) return;
  if (!options.watch) refuse('--interval requires --watch.');
  if (interval < INTERVAL_MS_MIN) refuse('--interval must be at least 100ms.');
}

const INTERVAL_MS = 2000;
const INTERVAL_MS_MIN = 100;
