import { readInTheWay } from '../../database/in-the-way.ts';
import type { Answer } from '../../inspect/why/decide.ts';
import { type Explanation, explain } from '../../inspect/why/explain.ts';
import { describePresence } from '../../inspect/why/presence-text.ts';
import { describeReason } from '../../inspect/why/reason-text.ts';
import { whyReport } from '../../inspect/why/report.ts';
import { onOneLine } from '../../lines.ts';
import { colorsFor } from '../../reporter.ts';
import { withDatabase } from '../database.ts';
import { idFrom } from '../ids.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { paragraph } from '../paragraph.ts';
import { printJson } from '../table.ts';
import type { WhyOptions } from './options.ts';

/**
 * Prints why a notification has or has not arrived. The exit code is 1 unless it is known to have
 * arrived at every consumer that it is meant for.
 */
export async function why(
  idText: string,
  options: WhyOptions,
  outcome: CommandResult,
): Promise<void> {
  const id = idFrom(idText);
  const consumerId = options.consumer ?? null;
  const { inTheWay, ...found } = await withDatabase(
    options,
    { mode: 'read', consumers: consumerId === null ? [] : [consumerId] },
    async (client, config) => ({
      ...(await explain(client, config, { id, consumerId })),
      inTheWay: await readInTheWay(client, config.schema),
    }),
  );
  const reporter = reporterFor(options);
  outcome.exitCode = hasArrived(found, consumerId !== null) ? 0 : 1;
  for (const sentence of inTheWay) reporter.warn(sentence);
  if (options.json) return printJson(whyReport(id, found));
  process.stdout.write(`${describe(id, found, consumerId !== null)}\n`);
  if (found.restored) reporter.warn(found.restored);
  if (found.answers.length === 0) {
    reporter.info(
      'No consumer has ever run on this database: "pgwatch listen" registers the ones it runs.',
    );
  } else if (
    consumerId === null &&
    found.presence.code === 'present' &&
    !found.answers.some(isRead)
  ) {
    reporter.info(`No consumer reads the channel ${found.presence.entry.channel}.`);
  }
}

/**
 * True if it has arrived at the consumer that is named; otherwise at all that it was meant for, and
 * at least one reads its channel.
 */
function hasArrived({ presence, answers }: Explanation, isNamed: boolean): boolean {
  const meant = isNamed ? answers : answers.filter(({ isExpected }) => isExpected);
  if (meant.length === 0) return presence.code === 'present' && answers.some(isRead);
  return meant.every(({ isArrived }) => isArrived === true);
}

function isRead({ reasons }: Answer): boolean {
  return reasons[0]?.code !== 'filtered';
}

/** For people: the notification, then a block per consumer, those that it was meant for first. */
function describe(id: number, { presence, answers }: Explanation, isNamed: boolean): string {
  const colors = colorsFor(process.stdout);
  const head = `${colors.bold(`Notification ${id}`)}\n${describePresence(presence)}`;
  const known = answers.filter(({ reasons }) => reasons[0]?.code !== 'gone');
  const told = known
    .filter((answer) => isNamed || isRead(answer))
    .sort((a, b) => Number(b.isExpected) - Number(a.isExpected));
  const others = known.filter((answer) => !told.includes(answer));
  const blocks = told.map(({ consumerId, isArrived, reasons }) => {
    const lines = reasons.flatMap((reason) => {
      const { sentence, advice } = describeReason(reason, id, consumerId);
      const said = [paragraph(sentence, 2)];
      return advice === null ? said : [...said, paragraph(`→ ${advice}`, 4)];
    });
    const name = onOneLine(consumerId);
    const title = isArrived
      ? colors.bold(name)
      : `${colors.bold(name)}: ${isArrived === null ? 'unknown' : 'not arrived'}`;
    return [title, ...lines].join('\n');
  });
  if (others.length > 0) {
    const names = others.map(({ consumerId }) => onOneLine(consumerId));
    blocks.push(`Not for: ${names.join(', ')} (other channels)`);
  }
  return [head, ...blocks].join('\n\n');
}
