import type { Command } from '@commander-js/extra-typings';
import type { CommandResult } from '../options.ts';
import { declareDoctor } from './options.ts';

/** pgwatch doctor: reports what is wrong, and how to fix it. */
export function addDoctor(program: Command, outcome: CommandResult): void {
  declareDoctor(program)
    .description('Diagnose the installation and suggest fixes; changes nothing.')
    .addHelpText(
      'after',
      `
It checks the server, its version and settings, the connection and LISTEN, the
schema, privileges and triggers, the NOTIFY queue, old transactions, the log,
consumers and daemons. Each finding explains what it is, why it matters, and the
command or SQL that fixes it. Consumer files are loaded but not run.

A problem should be fixed: the exit code is 1. A note is only worth knowing: the
exit code stays 0. A check that could not run, for example because a privilege
is missing, is reported as a note. A role that may read pg_stat_activity
(pg_monitor) sees more.

Examples:
  $ pgwatch doctor
  $ pgwatch doctor --json | jq '.findings[] | select(.level == "problem")'`,
    )
    .action(async (options) => (await import('./run.ts')).doctor(options, outcome));
}
