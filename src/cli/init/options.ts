import type { Command } from '@commander-js/extra-typings';
import { addReportOptions, type OptionsOf } from '../options.ts';

export type InitOptions = OptionsOf<typeof declareInit>;

export function declareInit(program: Command) {
  return addReportOptions(program.command('init'))
    .option('--dry-run', 'only print what would be written')
    .option('--json', 'print the result as JSON');
}
