import type { Command } from '@commander-js/extra-typings';
import { ageFrom, parseMoment } from '../moment.ts';
import { addCommonOptions, type OptionsOf, wholeNumber } from '../options.ts';

export type CleanupOptions = OptionsOf<typeof declareCleanup>;

export function declareCleanup(program: Command) {
  return addCommonOptions(program.command('cleanup'))
    .option('--days <n>', 'remove what is older than n days', wholeNumber(1, DAYS_MAX))
    .option(
      '--before <time>',
      'remove what is older than this: 12h, 2026-11-20 (local time unless it has a zone)',
      parseBefore,
    )
    .option('--dry-run', 'only print what would be removed, by partition')
    .option('--force', 'also remove what consumers still need')
    .option('--yes', 'with --force: do not ask')
    .option('--json', 'print the result as JSON');
}

/** An age is kept as such: it is measured by the server's clock. */
function parseBefore(text: string): Date | { ageMs: number } {
  const ageMs = ageFrom(text);
  return ageMs === undefined ? parseMoment(text) : { ageMs };
}

/** Timestamps cannot go back much further. */
const DAYS_MAX = 36_500;
