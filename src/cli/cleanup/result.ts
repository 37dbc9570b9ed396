import type { Cleaned } from '../../log/retention/clean-log.ts';
import { bytesText, countOf } from '../../words.ts';
import { partitionText } from './partition-text.ts';

/** What was done with a partition, as a sentence. */
export function cleanedText({ partition, outcome, removed, pins, heldBy }: Cleaned): string {
  const name = partitionText(partition);
  const count = removed === null ? '' : `about ${countOf(removed, 'notification')}, `;
  const whole = `${name}: ${count}${bytesText(partition.bytes)}`;
  const consumers = [...new Set(pins.map(({ consumerId }) => consumerId))].join(', ');
  const left = removed
    ? `Removed ${countOf(removed, 'notification')} of ${name}, and kept`
    : 'Kept';
  const isAlready = removed === 0 && (outcome === 'dropped' || outcome === 'emptied');
  if (isAlready) {
    return outcome === 'dropped'
      ? `Dropped ${name}, which was empty.`
      : `${name} is empty, but kept until the next run: ${heldBy}.`;
  }
  switch (outcome) {
    case 'dropped':
      return `Removed ${whole}.`;
    case 'emptied':
      return `Removed ${whole}. The empty partition is kept until the next run: ${heldBy}.`;
    case 'deleted':
      return `Removed ${countOf(removed ?? 0, 'notification')} of ${name}.`;
    case 'pinned':
      return `${left} what ${consumers || 'a consumer'} needs${removed ? '' : ` of ${name}`}.`;
    case 'locked':
      return `${left} ${removed ? 'the rest' : name}: ${heldBy}.`;
  }
}

/** The result for programs. */
export function cleanedJson(done: {
  before: Date;
  results: readonly Cleaned[];
  eventIds: number;
}): Record<string, unknown> {
  return {
    dryRun: false,
    before: done.before,
    partitions: done.results.map(({ partition, outcome, removed, pins, heldBy }) => ({
      partition: partition.name,
      from: partition.starts,
      until: partition.ends,
      outcome,
      removed,
      isEstimate: outcome === 'dropped' || outcome === 'emptied',
      bytes: partition.bytes,
      pinnedBy: pins,
      heldBy,
    })),
    eventIds: done.eventIds,
  };
}
