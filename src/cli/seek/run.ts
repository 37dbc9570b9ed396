import { onOneLine } from '../../lines.ts';
import { move, planMove, requireIdle, seekReport } from '../../service/operations/seek.ts';
import { countOf } from '../../words.ts';
import { confirm } from '../confirm.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { describePlan } from './describe.ts';
import type { SeekOptions } from './options.ts';

/**
 * Prints what moving the position would do, and moves it after asking for confirmation.
 * @throws PgwatchError consumer_running while a daemon runs the consumer, unless --live is given;
 *   consumer_changed if something else has moved it meanwhile; usage if the target is in the future
 */
export async function seek(
  consumerId: string,
  options: SeekOptions,
  outcome: CommandResult,
): Promise<void> {
  const reporter = reporterFor(options);
  const { to, live = false } = options;
  await withDatabase(
    options,
    { mode: 'change', consumers: [consumerId] },
    async (client, { schema }) => {
      const plan = await planMove(client, schema, { consumerId, to });
      if (!options.json) process.stdout.write(`${describePlan(consumerId, plan, options)}\n`);
      if (options.dryRun) {
        if (options.json) printJson(seekReport(consumerId, plan));
        return;
      }
      requireIdle(consumerId, plan, live);
      const question = `Move ${onOneLine(consumerId)} from ${plan.fromId} to ${plan.toId}?`;
      if (!(await confirm(question, options, { outcome, reporter }))) return;
      const { plan: done, sought } = await move(client, schema, { consumerId, to, live }, plan);
      if (options.json) return printJson(seekReport(consumerId, done, sought));
      reporter.info(`Moved ${consumerId} from ${done.fromId} to ${sought.doneId}.`);
      if (sought.reread > 0) {
        const what = countOf(sought.reread, 'notification');
        const was = sought.reread === 1 ? 'was' : 'were';
        reporter.info(
          `${what} that waited for a retry, or ${was} dead, will be delivered in turn.`,
        );
      }
      if (!done.isLive) reporter.info('No daemon runs it: "pgwatch listen" continues from there.');
    },
  );
}
