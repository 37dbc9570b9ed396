import type { Command } from '@commander-js/extra-typings';
import { declareShow } from './options.ts';

/** pgwatch show: shows notifications in full. */
export function addShow(program: Command): void {
  declareShow(program)
    .description('Show a notification in full, with its outcome at each consumer.')
    .addHelpText(
      'after',
      `
A notification that is no longer in the log is shown from the copy in a dead
letter. "pgwatch why" explains the outcome at each consumer, and what to do.

Event ids given by publishers are indexed. Those derived by pgwatch are not:
looking one up searches the whole log, or the part after --since.

Examples:
  $ pgwatch show 42
  $ pgwatch show 42 43 --json
  $ pgwatch show 0b0e0d6c-6f1d-8a3c-8d1e-0a9c3a1f7b55 --since 1d`,
    )
    .action(async (ids, options) => (await import('./run.ts')).showNotification(ids, options));
}
