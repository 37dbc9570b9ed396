import { withConnection } from '../../database/connect.ts';
import { directTarget } from '../../database/target.ts';
import { type Checked, type Examination, examine } from '../../inspect/doctor/examine.ts';
import { LIMITS } from '../../inspect/doctor/limits.ts';
import { type CommandResult, configFor } from '../options.ts';
import { printJson } from '../table.ts';
import { describeExamination } from './describe.ts';
import type { DoctorOptions } from './options.ts';

/**
 * Prints the findings.
 * @throws PgwatchError connection_failed, config_invalid: it cannot examine what it cannot reach
 */
export async function doctor(options: DoctorOptions, outcome: CommandResult): Promise<void> {
  const config = await configFor(options);
  const target = directTarget(config);
  // Without withDatabase(), which refuses what the doctor should report.
  const examination = await withConnection(target, (client) =>
    examine(client, { config, target, limits: LIMITS }),
  );
  const isSound = ({ outcome }: Checked) => outcome === 'ok' || outcome === 'skipped';
  // A check that failed to run does not count as a success.
  outcome.exitCode = examination.checked.every(isSound) ? 0 : 1;
  if (options.json) printJson(toJson(examination));
  else process.stdout.write(`${describeExamination(examination)}\n`);
}

function toJson({ findings, checked }: Examination) {
  return {
    findings: findings.map(({ check, level, what, why, fix }) => ({
      check,
      level,
      what,
      why,
      fix,
    })),
    checked: checked.map(({ check, outcome, seen }) => ({ check, outcome, seen })),
  };
}
