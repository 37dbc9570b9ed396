import { relative } from 'node:path';
import type { Config } from '../config/define.ts';
import type { Consumer } from '../consumers/define.ts';
import { discoverConsumers, skippedFiles } from '../consumers/discover.ts';
import type { Reporter } from '../reporter.ts';
import { someOf } from '../words.ts';

/**
 * Loads the consumer files, and warns of files that only look like consumer files.
 * @throws PgwatchError consumer_invalid
 */
export async function findConsumers(config: Config, reporter: Reporter): Promise<Consumer[]> {
  const consumers = await discoverConsumers(config.consumers);
  const skipped = skippedFiles(config.consumers);
  if (skipped.length > 0) {
    const names = someOf(skipped.map((file) => relative(process.cwd(), file)));
    reporter.warn(
      `Not loaded: ${names}. A consumer file ends in .ts, .mts, .js or .mjs. ` +
        'Start its name with "_" if it is not a consumer.',
    );
  }
  return consumers;
}
