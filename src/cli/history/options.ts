import { type Command, Option } from '@commander-js/extra-typings';
import { parseMoment } from '../moment.ts';
import { addCommonOptions, limitOption, type OptionsOf } from '../options.ts';

export type HistoryOptions = OptionsOf<typeof declareHistory>;

export function declareHistory(program: Command) {
  return addCommonOptions(program.command('history'))
    .argument('<table>', 'users, app.users or app."a.b"; it may have been dropped')
    .argument('<id>', 'primary key; a=1,b=2 or JSON if it has several columns')
    .addOption(
      new Option(
        '--at <time>',
        'the row as it was then: 1h, 2026-11-20T09:30 (local time unless it has a zone)',
      )
        .argParser(parseMoment)
        .conflicts(['undo', 'diff', 'until']),
    )
    .addOption(
      new Option('--undo <id>', 'print the SQL that would undo this notification').conflicts([
        'diff',
        'until',
      ]),
    )
    .option('--diff', 'show changes line by line, for long texts and JSON')
    .option(
      '--since <time>',
      'only from then on; reads only that part of the log (local time unless it has a zone)',
      parseMoment,
    )
    .option('--until <time>', 'only up to then (local time unless it has a zone)', parseMoment)
    .addOption(limitOption('show at most the newest n versions'))
    .option('--json', 'print JSON');
}
