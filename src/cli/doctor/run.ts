import { consultDoctor } from '../../service/operations/doctor.ts';
import { type CommandResult, configFor } from '../options.ts';
import { printJson } from '../table.ts';
import { describeExamination } from './describe.ts';
import type { DoctorOptions } from './options.ts';

/**
 * Prints the findings.
 * @throws PgwatchError connection_failed, config_invalid: it cannot examine what it cannot reach
 */
export async function doctor(options: DoctorOptions, outcome: CommandResult): Promise<void> {
  const report = await consultDoctor(await configFor(options));
  outcome.exitCode = report.isSound ? 0 : 1;
  if (options.json) printJson(report);
  else process.stdout.write(`${describeExamination(report)}\n`);
}
