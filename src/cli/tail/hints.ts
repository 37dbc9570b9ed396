import { tableText } from '../../capture/table-name.ts';
import type { LogFilter } from '../../log/log-filter.ts';
import { type Known, LOOKED_AT } from '../../log/positions/known.ts';
import { suggest } from '../../suggest.ts';
import type { TailRequest } from './request.ts';

/**
 * What somebody waits for in vain, as far as can be told: a name that nothing has, a sentence each.
 */
export function hintsOf({ channels, tables }: LogFilter, known: Known): string[] {
  const newest = `none of the newest ${LOOKED_AT.toLocaleString('en')} notifications`;
  const unknownChannels = (channels ?? []).filter(
    // The rows of a snapshot go to one consumer, on a channel of its own.
    (name) => !name.startsWith('consumer:') && !known.channels.includes(name),
  );
  const unknownTables = (tables ?? []).filter(
    ({ schema, name }) =>
      !known.tables.some((each) => each.name === name && each.schema === (schema ?? each.schema)),
  );
  return [
    ...unknownChannels.map(
      (name) =>
        `No consumer reads the channel "${name}", and ${newest} is on it.${suggest(name, known.channels)}`,
    ),
    ...unknownTables.map(({ schema, name }) => {
      const names = known.tables.map((each) => (schema === null ? each.name : tableText(each)));
      const text = schema === null ? name : tableText({ schema, name });
      return `There is no table "${text}", and ${newest} is of it.${suggest(text, names)}`;
    }),
  ];
}

/** 'Following orders from now on; Ctrl-C ends it.' */
export function followingText({ filter, from }: TailRequest): string {
  const { channels, tables, actions, key } = filter;
  const what = [
    ...(actions ? [actions.join(', ')] : []),
    channels?.join(', ') ?? 'all channels',
    ...(tables ? [`changes of ${tables.map(({ name }) => name).join(', ')}`] : []),
    ...(key === null ? [] : [`key ${key}`]),
  ];
  return `Following ${what.join(', ')} ${placeText(from)}; Ctrl-C ends it.`;
}

function placeText(from: TailRequest['from']): string {
  if (from === 'now') return 'from now on';
  if (from === 'start') return 'from the start of the log';
  if ('id' in from) return `from id ${from.id} on`;
  if ('time' in from) return `since ${from.time.toISOString()}`;
  return `from the newest ${from.last.toLocaleString('en')} on`;
}

/** Said where all of it was looked at, and nothing shown. */
export function nothingText({ from }: TailRequest, isAsked: boolean): string {
  const hint =
    typeof from === 'object' && 'last' in from && !isAsked
      ? ` Only the newest ${from.last} were looked at: see more with --since or --from.`
      : '';
  return `Nothing to show: no notification there is like that.${hint}`;
}
