import type { Command } from '@commander-js/extra-typings';
import { declareInit } from './options.ts';

/** pgwatch init: adds the first files to a project. */
export function addInit(program: Command): void {
  declareInit(program)
    .description('Add a config, a first consumer and a script to an existing project.')
    .addHelpText(
      'after',
      `
It reads the nearest package.json, here or above, to find out whether the
project uses TypeScript and ES modules, and its package manager. Existing files
are kept, so running it again does nothing. It writes no connection string:
pgwatch reads DATABASE_URL when it runs.

Examples:
  $ pgwatch init --dry-run
  $ pgwatch init`,
    )
    .action(async (options) => (await import('./run.ts')).init(options));
}
