import { type Command, Option } from '@commander-js/extra-typings';
import {
  addCommonOptions,
  type CommonOptions,
  limitOption,
  type OptionsOf,
  parseAge,
} from '../options.ts';

export type ListOptions = OptionsOf<typeof declareList>;
export type ShowOptions = OptionsOf<typeof declareShow>;
export type ChangeOptions = OptionsOf<typeof declareChange>;
export type FilterOptions = OptionsOf<typeof addFilterOptions>;

export function declareList(dlq: Command) {
  return addFilterOptions(addCommonOptions(dlq.command('list')))
    .addOption(
      new Option('--state <state>', 'only in this state')
        .choices(['dead', 'retry', 'blocked', 'all'])
        .default('dead'),
    )
    .addOption(limitOption('show at most n'))
    .option('--json', 'print JSON, with the errors in full');
}

export function declareShow(dlq: Command) {
  return addCommonOptions(dlq.command('show'))
    .argument('<id>', 'id of the notification')
    .option('--consumer <id>', 'only of this consumer')
    .option('--json', 'print JSON');
}

/** Declares "dlq retry" or "dlq discard". */
export function declareChange(dlq: Command, action: 'retry' | 'discard') {
  return addFilterOptions(addCommonOptions(dlq.command(action)))
    .argument('[ids...]', 'ids of notifications')
    .option('--all', 'all dead letters')
    .option('--dry-run', 'only print what would happen')
    .option('--json', 'print the result as JSON');
}

/** Adds the options that select deliveries; a delivery has to match all that are given. */
function addFilterOptions(command: Command<[], CommonOptions>) {
  return command
    .option('--consumer <ids...>', 'only of these consumers')
    .option('--error <text>', 'only if the last error contains this text, in any case')
    .option(
      '--older-than <duration>',
      'only if the last failure is older than this: 2h, 7d',
      parseAge,
    )
    .option('--newer-than <duration>', 'only if the last failure is newer than this', parseAge)
    .option('--channel <channel>', 'only of this channel')
    .option('--key <key>', 'only with this key');
}
