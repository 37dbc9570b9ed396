import type { Command } from '@commander-js/extra-typings';
import { addCommonOptions, type OptionsOf, parseAge, wholeNumber } from '../options.ts';

export type StatusOptions = OptionsOf<typeof declareStatus>;

export function declareStatus(program: Command) {
  return addCommonOptions(program.command('status'))
    .argument('[consumers...]', 'only these consumers')
    .option('--json', 'print JSON')
    .option('--watch', 'refresh until Ctrl-C')
    .option('--interval <duration>', 'with --watch: how often (default: 2s)', parseAge)
    .option('--check', 'for monitoring: print only problems; exit code 1 if there are any')
    .option('--max-lag <n>', 'with --check: fail if more than n are unread', wholeNumber(0))
    .option(
      '--max-age <duration>',
      'with --check: fail if the oldest unread is older than this',
      parseAge,
    )
    .option(
      '--max-dead <n>',
      'with --check: fail if there are more than n dead letters',
      wholeNumber(0),
    );
}
