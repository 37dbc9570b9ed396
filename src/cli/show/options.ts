import type { Command } from '@commander-js/extra-typings';
import { parseMoment } from '../moment.ts';
import { addCommonOptions, type OptionsOf } from '../options.ts';

export type ShowOptions = OptionsOf<typeof declareShow>;

export function declareShow(program: Command) {
  return addCommonOptions(program.command('show'))
    .argument('<ids...>', 'ids of notifications, or event ids')
    .option(
      '--since <time>',
      'search for event ids from this time on (local time unless it has a zone)',
      parseMoment,
    )
    .option('--json', 'print JSON');
}
