import type { Command } from '@commander-js/extra-typings';
import { addCommonOptions, type OptionsOf } from '../options.ts';

export type TypesOptions = OptionsOf<typeof declareTypes>;

export function declareTypes(program: Command) {
  return addCommonOptions(program.command('types'))
    .option('--out <file>', 'write this file (default: stdout)')
    .option('--check', 'write nothing; exit code 1 if the file would change');
}
