import type { Command } from '@commander-js/extra-typings';
import { addCommonOptions, type OptionsOf } from '../options.ts';

export type DoctorOptions = OptionsOf<typeof declareDoctor>;

export function declareDoctor(program: Command) {
  return addCommonOptions(program.command('doctor')).option('--json', 'print JSON');
}
