import type { Missing } from '../../log/by-hand/replay-missing.ts';
import type { Stretch, StretchCount } from '../../log/by-hand/replay-stretch.ts';
import { someOf } from '../../words.ts';

/** Sentences that explain what a stretch names but does not contain; none if nothing is missing. */
export function describeMissing(stretch: Stretch, missing: Missing): string[] {
  const { consumerId, channel, key } = stretch;
  const { channels, unknownIds, foreignIds, isKeyUnknown } = missing;
  const reads = `${consumerId} reads ${channels.join(', ')}`;
  const isForeign = channel !== null && !channels.includes(channel);
  return [
    ...(unknownIds.length > 0
      ? [
          `The log does not contain ${someOf(unknownIds.map(String))}: ` +
            `"pgwatch why ${unknownIds[0]}" explains.`,
        ]
      : []),
    ...(foreignIds.length > 0
      ? [`On another channel: ${someOf(foreignIds.map(String))}; ${reads}.`]
      : []),
    ...(isForeign ? [`It does not read the channel ${channel}: ${reads}.`] : []),
    ...(isKeyUnknown && !isForeign ? [`No notification on its channels has the key ${key}.`] : []),
  ];
}

/** Explains why there is nothing to replay although everything named exists. */
export function describeNone({ dead, waiting, open }: StretchCount): string {
  if (dead + waiting + open === 0)
    return 'No notification on its channels matches all the options.';
  return 'What matches is not handled yet, or is a dead letter.';
}
