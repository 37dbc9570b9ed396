import type { Command } from 'commander';
import { addCommonOptions, type CommandResult } from '../options.ts';

/** pgwatch doctor: what is wrong, and how to mend it. */
export function addDoctor(program: Command, outcome: CommandResult): void {
  addCommonOptions(program.command('doctor').option('--json', 'as JSON'))
    .description('Look for everything that is wrong, and say how to mend it; changes nothing.')
    .addHelpText(
      'after',
      `
Looked at are the server, its version and settings, the connection and LISTEN,
the schema, privileges and triggers, the queue of NOTIFY, old transactions, the
log, consumers and daemons. Each finding says what it is, why it matters, and
the command or the SQL that mends it. Consumer files are loaded, not run.

A problem wants to be mended: the exit code is 1. A note is worth knowing: with
notes alone it is 0. What could not be checked, as for want of a privilege, is a
note. A role that may read pg_stat_activity (pg_monitor) sees more.

Examples:
  $ pgwatch doctor
  $ pgwatch doctor --json | jq '.findings[] | select(.level == "problem")'`,
    )
    .action(async (options) => (await import('./run.ts')).doctor(options, outcome));
}
