import type { Command } from '@commander-js/extra-typings';
import { addCommonOptions, type OptionsOf, wholeNumber } from '../options.ts';

export type SnapshotOptions = OptionsOf<typeof declareSnapshot>;

export function declareSnapshot(program: Command) {
  return addCommonOptions(program.command('snapshot'))
    .argument('<table>', 'a captured table')
    .requiredOption('--consumer <id>', 'the consumer that receives the rows')
    .option('--again', 'start over instead of continuing')
    .option('--batch-size <n>', 'publish, and lock, n rows at a time', wholeNumber(1, 10_000), 1000)
    .option('--json', 'print the result as JSON');
}
