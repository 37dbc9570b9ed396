import type { Command } from '@commander-js/extra-typings';
import { addCommonOptions, type OptionsOf } from '../options.ts';
import { parseUntil } from './until.ts';

export type ListOptions = OptionsOf<typeof declareList>;
export type ShowOptions = OptionsOf<typeof declareShow>;
export type PauseOptions = OptionsOf<typeof declarePause>;
export type ResumeOptions = OptionsOf<typeof declareResume>;
export type RenameOptions = OptionsOf<typeof declareRename>;
export type RemoveOptions = OptionsOf<typeof declareRemove>;

export function declareList(consumers: Command) {
  return addCommonOptions(consumers.command('list')).option('--json', 'print JSON');
}

export function declareShow(consumers: Command) {
  return addCommonOptions(consumers.command('show'))
    .argument('<ids...>', 'ids of consumers')
    .option('--json', 'print JSON');
}

export function declarePause(consumers: Command) {
  return addCommonOptions(consumers.command('pause'))
    .argument('<ids...>', 'ids of consumers')
    .option('--until <when>', 'a duration from now (2h), or a time in the future', parseUntil)
    .option('--json', 'print the result as JSON');
}

export function declareResume(consumers: Command) {
  return addCommonOptions(consumers.command('resume'))
    .argument('<ids...>', 'ids of consumers')
    .option('--json', 'print the result as JSON');
}

export function declareRename(consumers: Command) {
  return addCommonOptions(consumers.command('rename'))
    .argument('<old>', 'the id in the database')
    .argument('<new>', 'the id in the consumer file, or the name of the file')
    .option('--json', 'print the result as JSON');
}

export function declareRemove(consumers: Command) {
  return addCommonOptions(consumers.command('remove'))
    .argument('<ids...>', 'ids of consumers')
    .option('--dry-run', 'only print what would be removed')
    .option('--yes', 'do not ask')
    .option('--json', 'print the result as JSON');
}
