import type { Command } from 'commander';
import { addReportOptions } from '../options.ts';

/** pgwatch init: what a project needs to begin. */
export function addInit(program: Command): void {
  addReportOptions(
    program
      .command('init')
      .option('--dry-run', 'only say what would be written')
      .option('--json', 'print what was done as JSON'),
  )
    .description('Write a config, a first consumer and a script into an existing project.')
    .addHelpText(
      'after',
      `
It goes by the package.json here or above: whether the project uses TypeScript,
is made of modules, and by which package manager. What is there already stays as
it is, so that running it again does nothing. No connection string is written:
DATABASE_URL is read when pgwatch runs.

Examples:
  $ pgwatch init --dry-run
  $ pgwatch init`,
    )
    .action(async (options) => (await import('./run.ts')).init(options));
}
