import { PgwatchError } from '../../errors.ts';
import { type OtherHalf, readOtherHalf } from '../../inspect/history/key-change.ts';
import { readCoverage, readFirst } from '../../inspect/history/read.ts';
import type { RowVersion } from '../../inspect/history/versions.ts';
import { reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { type HistoryPlace, orderOf, versions } from './place.ts';
import { versionText, versionToJson } from './version.ts';

/**
 * Prints the newest versions of a row, the oldest of them first.
 * @throws PgwatchError history_unknown if there are none
 */
export async function printVersions(place: HistoryPlace, limit: number): Promise<void> {
  const { options, subject } = place;
  const newest: RowVersion[] = [];
  let count = 0;
  for await (const version of versions(place, { until: options.until ?? null })) {
    // It is unknown whether the row was among those removed.
    if (count === 0 && version.action === 'TRUNCATE') continue;
    count += 1;
    if (newest.push(version) > limit) newest.shift();
  }
  if (count === 0) throw await unknown(place);
  await printThese(place, newest);
  if (count > limit) {
    reporterFor(options).info(
      `Showing the newest ${limit} of ${count.toLocaleString('en')} versions ` +
        `of ${subject.text}; --limit shows more.`,
    );
  }
}

async function printThese(
  { client, config, subject, options }: HistoryPlace,
  shown: readonly RowVersion[],
): Promise<void> {
  const halves: (OtherHalf | null)[] = [];
  for (const version of shown) halves.push(await readOtherHalf(client, config.schema, version));
  if (options.json) {
    return printJson(shown.map((version, index) => versionToJson(version, halves[index])));
  }
  const view = { isDiff: options.diff ?? false, order: orderOf(subject) };
  const texts = shown.map((version, index) =>
    versionText(version, { ...view, isFirst: index === 0, otherHalf: halves[index] ?? null }),
  );
  process.stdout.write(`${texts.join('\n')}\n`);
}

async function unknown({ client, config, subject, options }: HistoryPlace): Promise<PgwatchError> {
  const coverage = await readCoverage(client, config.schema, subject);
  const first = coverage === null ? await readFirst(client, config.schema) : null;
  const begins =
    first && first.id > 1
      ? ` It begins at id ${first.id.toLocaleString('en')}, of ${first.createdAt.toISOString()}; ` +
        'older notifications have been removed.'
      : '';
  const reason =
    coverage === null
      ? 'It has no changes of the table at all: is the name right, and is the table captured ' +
        `("pgwatch trigger list")?${begins}`
      : `It covers the table since ${coverage.toISOString()}; ` +
        'no row with exactly this id has changed since.';
  const bounds = options.since || options.until ? ' between --since and --until' : '';
  return new PgwatchError(
    'history_unknown',
    `The log has no changes of ${subject.text}${bounds}. ${reason}`,
  );
}
