import type { Command } from '@commander-js/extra-typings';
import { addCommonOptions, type OptionsOf } from '../options.ts';

export type WhyOptions = OptionsOf<typeof declareWhy>;

export function declareWhy(program: Command) {
  return addCommonOptions(program.command('why'))
    .argument('[id]', 'id of the notification')
    .option('--consumer <id>', 'only at this consumer')
    .option('--table <name>', 'why changes of this table do not arrive')
    .option('--json', 'print JSON, each reason with its code');
}
