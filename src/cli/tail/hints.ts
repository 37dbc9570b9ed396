import { tableText } from '../../capture/table-name.ts';
import type { LogFilter } from '../../log/log-filter.ts';
import { type Known, LOOKED_AT } from '../../log/positions/known.ts';
import { suggest } from '../../suggest.ts';
import type { TailRequest } from './request.ts';

/** Warns of names that do not seem to exist: the user would wait in vain. A sentence for each. */
export function hintsOf({ channels, tables }: LogFilter, known: Known): string[] {
  const newest = `none of the newest ${LOOKED_AT.toLocaleString('en')} notifications`;
  const unknownChannels = (channels ?? []).filter(
    // The rows of a snapshot are on a channel of the consumer.
    (name) => !name.startsWith('consumer:') && !known.channels.includes(name),
  );
  const unknownTables = (tables ?? []).filter(
    ({ schema, name }) =>
      !known.tables.some((each) => each.name === name && each.schema === (schema ?? each.schema)),
  );
  return [
    ...unknownChannels.map(
      (name) =>
        `No consumer reads the channel "${name}", and ${newest} are on it.` +
        suggest(name, known.channels),
    ),
    ...unknownTables.map(({ schema, name }) => {
      const names = known.tables.map((each) => (schema === null ? each.name : tableText(each)));
      const text = schema === null ? name : tableText({ schema, name });
      return `There is no table "${text}", and ${newest} are about it.${suggest(text, names)}`;
    }),
  ];
}

/** 'Following orders from now on; press Ctrl-C to stop.' */
export function followingText({ filter, from }: TailRequest): string {
  const { channels, tables, actions, key } = filter;
  const what = [
    ...(actions ? [actions.join(', ')] : []),
    channels?.join(', ') ?? 'all channels',
    ...(tables ? [`changes of ${tables.map(({ name }) => name).join(', ')}`] : []),
    ...(key === null ? [] : [`key ${key}`]),
  ];
  return `Following ${what.join(', ')} ${placeText(from)}; press Ctrl-C to stop.`;
}

function placeText(from: TailRequest['from']): string {
  if (from === 'now') return 'from now on';
  if (from === 'start') return 'from the start of the log';
  if ('id' in from) return `from id ${from.id}`;
  if ('time' in from) return `since ${from.time.toISOString()}`;
  return `from the newest ${from.last.toLocaleString('en')}`;
}

/** The message if everything was read and nothing shown. */
export function nothingText({ from }: TailRequest, isAsked: boolean): string {
  const hint =
    typeof from === 'object' && 'last' in from && !isAsked
      ? ` Only the newest ${from.last} were read; --since or --from read more.`
      : '';
  return `No notification matches.${hint}`;
}
