import { type Command, Option } from '@commander-js/extra-typings';
import { parseMoment } from '../moment.ts';
import { addCommonOptions, type OptionsOf, wholeNumber } from '../options.ts';

export type TailOptions = OptionsOf<typeof declareTail>;

export function declareTail(program: Command) {
  return addCommonOptions(program.command('tail'))
    .argument('[channels...]', 'only these channels (default: all)')
    .addOption(
      new Option(
        '--since <time>',
        'start at an age or a time: 1h, 2026-11-20T09:30 (local time unless it has a zone)',
      )
        .argParser(parseMoment)
        .conflicts('from'),
    )
    .option('--from <place>', 'start at an id, at the start, or at -20: the last 20')
    .option('--until <place>', 'end at an age, a time (local time unless it has a zone), or an id')
    .option('-n, --limit <n>', 'stop after n notifications', wholeNumber(1))
    .option('--table <names...>', 'only changes of these tables: users, app.users')
    .option('--action <names...>', 'only INSERT, UPDATE, DELETE, TRUNCATE or SNAPSHOT')
    .option('--key <key>', 'only with this key')
    .option('--where <expression>', 'only if this JavaScript expression is true')
    .option('--follow', 'keep following the log (default on a terminal)')
    .option('--no-follow', 'show what is there, and exit')
    .option('--full', 'print text, with the whole payload below each line')
    .option('--json', 'print JSON, one object per line (default if piped)')
    .option('--no-json', 'print text, even if piped');
}
