import type { ConsumerView } from '../../inspect/consumer-view.ts';
import { placeOf } from '../../inspect/daemons.ts';
import { readStatus } from '../../inspect/status.ts';
import { consumerReport } from '../../inspect/status-report.ts';
import { field, onOneLine } from '../../lines.ts';
import type { Position } from '../../log/positions/position.ts';
import { colorsFor } from '../../reporter.ts';
import { errorText } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { ago, describeLag, describeLeft, describeOwner, describeRate } from '../status/cells.ts';
import { printJson } from '../table.ts';
import type { ShowOptions } from './options.ts';

/** Prints everything about consumers. */
export async function showConsumer(ids: readonly string[], options: ShowOptions): Promise<void> {
  const { at, consumers } = await withDatabase(
    options,
    { mode: 'read', consumers: ids },
    (client, { schema }) => readStatus(client, schema, ids),
  );
  if (options.json) {
    const complete = (view: ConsumerView) => ({
      ...consumerReport(view, at),
      position: view.position,
    });
    return printJson(consumers.map(complete));
  }
  const blocks = consumers.map((consumer) => textOf(consumer, at));
  process.stdout.write(`${blocks.join('\n\n')}\n`);
}

/** For people: one field per line. */
function textOf(view: ConsumerView, at: Date): string {
  const time = (name: string, when: Date) => field(name, `${when.toISOString()}, ${ago(when, at)}`);
  const {
    consumerId,
    channels,
    channelsSince,
    isShared,
    epoch,
    createdAt,
    savedAt,
    oldestAt,
    lastError,
  } = view;
  const { pausedAt, pausedUntil, owner, retrying, blocked, blockedKeys, replaying, dead } = view;
  const bold = colorsFor(process.stdout).bold(onOneLine(`Consumer ${consumerId}`));
  return [
    bold,
    field('state', view.state),
    ...(pausedAt ? [time('paused', pausedAt)] : []),
    ...(pausedAt ? [field('paused until', pausedUntil?.toISOString() ?? 'resumed')] : []),
    field('channels', channels.join(', ')),
    ...channelsSince.map(({ channel, fromId, since }) =>
      field('', `${channel} from id ${fromId}, since ${since.toISOString()}, ${ago(since, at)}`),
    ),
    time('created', createdAt),
    field('run by', isShared ? 'several daemons together' : 'one daemon at a time'),
    field(isShared ? 'daemons' : 'owner', describeOwner(view)),
    ...(owner ? [time('owned since', owner.since)] : []),
    field('epoch', String(epoch)),
    ...view.daemons.flatMap(({ host, pid, activity }) => {
      const own = activity.consumers[consumerId];
      if (!own) return [];
      const { state, rate, handled } = own;
      const speed = rate === null ? '' : `, ${describeRate(rate)}`;
      const what = `${state}${speed}, ${handled.toLocaleString('en')} since it started`;
      return [field('activity', `${placeOf({ host, pid })}: ${what}`)];
    }),
    field('position', describePosition(view.position)),
    time('saved', savedAt),
    field('lag', describeLag(view)),
    ...(oldestAt ? [time('oldest unread', oldestAt)] : []),
    ...(view.timeLeftMs ? [field('time left', describeLeft(view))] : []),
    field(
      'deliveries',
      `${retrying} retry, ${blocked} blocked (keys: ${blockedKeys}), ${dead} dead` +
        (replaying > 0 ? `, ${replaying} to be replayed` : ''),
    ),
    ...(lastError ? [time('last error', lastError.at)] : []),
    ...(lastError
      ? [field('', `notification ${lastError.notificationId}: ${errorText(lastError)}`)]
      : []),
  ].join('\n');
}

/** The id, and how far an open window has been read. */
function describePosition({ doneId, window }: Position): string {
  if (!window) return `everything up to ${doneId}`;
  return `everything up to ${doneId}; reading up to ${window.endId}, now at ${window.id}`;
}
