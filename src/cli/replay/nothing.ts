import type { Missing } from '../../log/by-hand/replay-missing.ts';
import type { Stretch, StretchCount } from '../../log/by-hand/replay-stretch.ts';
import { someOf } from '../../words.ts';

/**
 * Why a stretch does not hold what it asks for: sentences, none where nothing it names is missing.
 */
export function describeMissing(stretch: Stretch, missing: Missing): string[] {
  const { consumerId, channel, key } = stretch;
  const { channels, unknownIds, foreignIds, isKeyUnknown } = missing;
  const reads = `${consumerId} reads ${channels.join(', ')}`;
  const isForeign = channel !== null && !channels.includes(channel);
  return [
    ...(unknownIds.length > 0
      ? [
          `The log holds no ${someOf(unknownIds.map(String))}: "pgwatch why ${unknownIds[0]}" tells more.`,
        ]
      : []),
    ...(foreignIds.length > 0
      ? [`Of another channel: ${someOf(foreignIds.map(String))}; ${reads}.`]
      : []),
    ...(isForeign ? [`It does not read the channel ${channel}: ${reads}.`] : []),
    ...(isKeyUnknown && !isForeign ? [`Nothing of its channels has the key ${key}.`] : []),
  ];
}

/** Why there is nothing to replay where all that is named is there. */
export function describeNone({ dead, waiting, open }: StretchCount): string {
  if (dead + waiting + open === 0) return 'Nothing of its channels matches all that was asked for.';
  return 'What matches is not done yet, or was given up: nothing of it is to be handed out once more.';
}
