import type { Consumer } from '../../consumers/define.ts';
import { consumerChannel } from '../../log/channels.ts';
import type { Reporter } from '../../reporter.ts';
import { shellWord } from '../../shell-word.ts';

/**
 * Reports which channels a consumer has started or stopped reading since it last ran.
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
      `${id} reads ${added.length} more channels ${from}, for example ${added[0]}. ` +
        'Earlier notifications on them are not delivered. ' +
        `To deliver them too: pgwatch replay ${shellWord(id)} --channel CHANNEL`,
      { consumer: id },
    );
  }
  for (const channel of added.length > LINES_MAX ? [] : added) {
    reporter.info(
      `${id} reads the channel ${channel} ${from}. ` +
        'Earlier notifications on it are not delivered. ' +
        `To deliver them too: pgwatch replay ${shellWord(id)} --channel ${shellWord(channel)}`,
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

/** More changed channels than this are reported in one line. */
const LINES_MAX = 20;
