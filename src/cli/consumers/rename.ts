import { PgwatchError } from '../../errors.ts';
import { placeOf } from '../../inspect/daemons.ts';
import { type Renamed, renameConsumer } from '../../log/by-hand/rename-consumer.ts';
import { shellWord } from '../../shell-word.ts';
import { someOf } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { storedText } from './counts.ts';
import type { RenameOptions } from './options.ts';

/**
 * Gives a consumer a new id.
 * @throws PgwatchError consumer_running while a daemon runs the old id or waits to run it;
 *   consumer_exists if a consumer with the new id has handled something; usage
 */
export async function rename(from: string, to: string, options: RenameOptions): Promise<void> {
  if (from === to)
    throw new PgwatchError('usage', 'The new id is the same as the old one: give another.');
  if (!/^[\w.:-]{1,100}$/.test(to)) {
    throw new PgwatchError(
      'usage',
      'The new id must be 1 to 100 letters, digits, ".", ":", "_" or "-", ' +
        `not ${JSON.stringify(to)}.`,
    );
  }
  const result = await withDatabase(
    options,
    { mode: 'change', consumers: [from] },
    (client, { schema }) => renameConsumer(client, schema, { from, to }),
  );
  const [old, next] = [shellWord(from), shellWord(to)];
  if (result.is === 'unknown') {
    throw new PgwatchError('consumer_unknown', `There is no longer a consumer ${from}.`);
  }
  if (result.is === 'in_use') {
    throw new PgwatchError(
      'consumer_running',
      `${someOf(result.inUse.map(placeOf))} runs ${from}, or waits to run it, and would start it ` +
        `again from the beginning: stop that daemon, rename ${from}, then start a daemon with ` +
        `the file of ${to}.`,
    );
  }
  if (result.is === 'taken') {
    throw new PgwatchError(
      'consumer_exists',
      `${to} already has its own position, at ${result.doneId}, or pending notifications. ` +
        `To let it continue where ${from} is, stop and remove it first: ` +
        `pgwatch consumers remove ${next} && pgwatch consumers rename ${old} ${next}`,
    );
  }
  if (options.json) return printJson(result.renamed);
  reporterFor(options).info(describe(result.renamed));
}

/** 'email is now mailer. It continues after id 42, with 2 dead letters.' */
function describe({ from, to, doneId, ...counts }: Renamed): string {
  const stored = storedText(counts);
  const rest = stored === '' ? '' : `, with ${stored}`;
  return `${from} is now ${to}. It continues after id ${doneId}${rest}.`;
}
