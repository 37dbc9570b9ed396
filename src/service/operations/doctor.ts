import type { Config } from '../../config/define.ts';
import { withConnection } from '../../database/connect.ts';
import { directTarget } from '../../database/target.ts';
import { type Checked, type Examination, examine } from '../../inspect/doctor/examine.ts';
import { LIMITS } from '../../inspect/doctor/limits.ts';

/** What the doctor found, what it checked, and whether all is well. */
export type DoctorReport = Examination & {
  /** False if a check found a problem, or could not run. */
  isSound: boolean;
};

/**
 * Examines a database; changes nothing.
 * @throws PgwatchError connection_failed, config_invalid: it cannot examine what it cannot reach
 */
export async function consultDoctor(config: Config): Promise<DoctorReport> {
  const target = directTarget(config);
  // Without withAccess(), which refuses what the doctor should report.
  const { findings, checked } = await withConnection(target, (client) =>
    examine(client, { config, target, limits: LIMITS }),
  );
  return { isSound: checked.every(isSound), findings, checked };
}

/** A check that failed to run does not count as a success. */
function isSound({ outcome }: Checked): boolean {
  return outcome === 'ok' || outcome === 'skipped';
}
