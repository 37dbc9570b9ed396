import { field, onOneLine } from '../../lines.ts';
import type { StretchEntry } from '../../log/by-hand/replay-stretch.ts';
import { colorsFor } from '../../reporter.ts';
import type { ReplayReport } from '../../service/operations/replay.ts';
import { countOf } from '../../words.ts';
import { printTable } from '../table.ts';

/** Describes for people what a replay would do. */
export function describeReplay(report: ReplayReport, speed: number | null): string {
  const { consumerId, matching, beforeChannel, keys, firstId, lastId } = report;
  const { dead, waiting, open } = report;
  const colors = colorsFor(process.stdout);
  const number = (value: number) => value.toLocaleString('en');
  const range = firstId === lastId ? `${firstId}` : `${firstId} to ${lastId}`;
  const about = keys > 0 ? `, of ${countOf(keys, 'key')}` : '';
  const left = [
    ...(dead > 0 ? [`${countOf(dead, 'dead letter')} (see "pgwatch dlq retry")`] : []),
    ...(waiting > 0 ? [`${number(waiting)} that wait for a retry`] : []),
  ];
  return [
    colors.bold(onOneLine(consumerId)),
    field(
      'again',
      matching === 0 ? 'none' : `${countOf(matching, 'notification')}, ${range}${about}`,
    ),
    ...(beforeChannel > 0
      ? [field('first time', `${number(beforeChannel)} published before it read their channel`)]
      : []),
    ...(left.length > 0 ? [field('left alone', left.join(', '))] : []),
    ...(open > 0 ? [field('pending', `${number(open)} not handled yet arrive anyway`)] : []),
    ...(matching > 0
      ? [
          field('speed', speed === null ? 'as fast as possible' : `${speed}x the original pace`),
          field('effects', 'the handler runs again for each, side effects included'),
          ...(keys > 0 ? [field('order', 'new notifications with these keys wait')] : []),
        ]
      : []),
  ].join('\n');
}

/** Prints the first notifications that would be replayed. */
export function printFirst(entries: readonly StretchEntry[]): void {
  printTable(
    ['ID', 'CREATED', 'CHANNEL', 'KEY'],
    entries.map(({ id, createdAt, channel, key }) => [
      String(id),
      createdAt.toISOString(),
      channel,
      key ?? '-',
    ]),
  );
}
