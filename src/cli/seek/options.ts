import { type Command, Option } from '@commander-js/extra-typings';
import { addCommonOptions, type OptionsOf } from '../options.ts';
import { parseTarget } from './target.ts';

export type SeekOptions = OptionsOf<typeof declareSeek>;

export function declareSeek(program: Command) {
  return (
    addCommonOptions(program.command('seek'))
      .argument('<consumer>', 'id of the consumer')
      .requiredOption(
        '--to <target>',
        'start, now, an id, a time, an age (-1h), or a number of notifications (+100, -100)',
        parseTarget,
      )
      .option('--dry-run', 'print the plan and change nothing')
      .option('--yes', 'do not ask')
      // What scripts pass that were written before every command had --yes.
      .addOption(new Option('--execute').implies({ yes: true }).hideHelp())
      .option('--live', 'move it even while a daemon runs the consumer')
      .option('--json', 'print the plan and the result as JSON')
  );
}
