import { type Command, Option } from 'commander';
import { parseMoment } from '../moment.ts';
import { addCommonOptions, type CommandResult, wholeNumber } from '../options.ts';

/** pgwatch history: what has become of a row of a captured table. */
export function addHistory(program: Command, outcome: CommandResult): void {
  const command = program
    .command('history')
    .argument('<table>', 'users, app.users or app."a.b"; also one that is gone')
    .argument('<id>', 'value of the primary key; a=1,b=2 or JSON for several columns')
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
    .option('--diff', 'what changed line by line, for long texts and JSON')
    .option(
      '--since <time>',
      'only from then on, and read the log from there (local time unless it has a zone)',
      parseMoment,
    )
    .option('--until <time>', 'only up to then (local time unless it has a zone)', parseMoment)
    .option('--limit <n>', 'how many versions at most, the newest', wholeNumber(1, LIMIT_MAX), 50)
    .option('--json', 'as JSON');
  addCommonOptions(command)
    .description('Show every version of a captured row: who, when, and what changed.')
    .addHelpText(
      'after',
      `
It is read from the log: as far back as that goes, and what the capture of the
table leaves out is not there. It reads all of the log, which may take a while;
--since reads less. A renamed table has a history under each of its names, and a
row whose key was changed under each of its keys.

--at counts a change from when it was written, by the server's clock; others saw
it when its transaction committed, a little later. Exit code 1: the log does not
tell. --undo prints SQL and runs nothing. That SQL does nothing, or fails, where
the row was changed again since.

Examples:
  $ pgwatch history users 42
  $ pgwatch history app.order_lines order_id=7,line=2 --since 7d --diff
  $ pgwatch history users 42 --at 2026-11-20T09:30
  $ pgwatch history users 42 --undo 1043 > undo.sql`,
    )
    .action(async (table, id, options) =>
      (await import('./run.ts')).history({ table, id }, options, outcome),
    );
}

/** How many are listed at most. */
const LIMIT_MAX = 10_000;
