import type { Consumer } from '../../consumers/define.ts';
import { consumerChannel } from '../../log/positions/progress.ts';
import type { Reporter } from '../../reporter.ts';
import { shellWord } from '../../shell-word.ts';

/**
 * Says which channels a consumer reads from now on, and which no longer, since it last ran.
 * @param seen.reachedId the highest id that its position has settled
 */
export function reportChannels(
  reporter: Reporter,
  { id, channels }: Pick<Consumer, 'id' | 'channels'>,
  { previousChannels, reachedId }: { previousChannels: readonly string[]; reachedId: number },
): void {
  const isOther = (channel: string) => channel !== consumerChannel(id);
  const added = channels.filter((channel) => !previousChannels.includes(channel)).filter(isOther);
  const removed = previousChannels.filter((channel) => !channels.includes(channel)).filter(isOther);
  const from = `from id ${reachedId + 1} on`;
  if (added.length > LINES_MAX) {
    reporter.info(
      `${id} reads ${added.length} more channels ${from}, for example ${added[0]}. What was published on them before is not delivered; "pgwatch replay ${shellWord(id)} --channel CHANNEL" delivers that as well.`,
      { consumer: id },
    );
  }
  for (const channel of added.length > LINES_MAX ? [] : added) {
    reporter.info(
      `${id} reads the channel ${channel} ${from}. What was published on it before is not delivered. To have that as well: pgwatch replay ${shellWord(id)} --channel ${shellWord(channel)}`,
      { consumer: id },
    );
  }
  if (removed.length > LINES_MAX) {
    reporter.info(
      `${id} no longer reads ${removed.length} channels ${from}, for example ${removed[0]}.`,
      {
        consumer: id,
      },
    );
  }
  for (const channel of removed.length > LINES_MAX ? [] : removed) {
    reporter.info(`${id} no longer reads the channel ${channel}, ${from}.`, { consumer: id });
  }
}

/** More channels at a time are told of together. */
const LINES_MAX = 20;
