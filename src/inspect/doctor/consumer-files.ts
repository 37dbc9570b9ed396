import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { discoverConsumers, skippedFiles } from '../../consumers/discover.ts';
import { qualified } from '../../database/names.ts';
import { PgwatchError } from '../../errors.ts';
import { shellWord } from '../../shell-word.ts';
import type { Check, Finding } from './check.ts';

/** Checks that the consumer files load, and match the consumers in the database. */
export const consumerFiles: Check = {
  name: 'consumer-files',
  runs: 'connection',
  needs: 'schema',
  async run(client, { config }) {
    const folder = relative(process.cwd(), config.consumers) || '.';
    if (!existsSync(config.consumers))
      return { findings: [], seen: `there is no folder ${folder}` };
    try {
      const ids = (await discoverConsumers(config.consumers)).map(({ id }) => id);
      const { rows } = await client.query<{ id: string }>(
        `select consumer_id as id from ${qualified(config.schema, 'consumer_progress')}
         order by consumer_id`,
      );
      const known = rows.map(({ id }) => id);
      const findings = [
        ...ids.filter((id) => !known.includes(id)).map((id) => neverRun(id, folder)),
        ...known.filter((id) => !ids.includes(id)).map((id) => withoutFile(id, folder)),
        ...skippedFiles(config.consumers).map(notLoaded),
      ];
      return { findings, seen: `${ids.length} in ${folder}` };
    } catch (thrown) {
      if (!(thrown instanceof PgwatchError)) throw thrown;
      return { findings: [faulty(thrown.message)], seen: folder };
    }
  },
};

function neverRun(id: string, folder: string): Finding {
  return {
    level: 'note',
    what: `${id} has a file in ${folder}, but has never run on this database.`,
    why:
      'It has no position yet, so nothing is kept for it: ' +
      "with from: 'now' it misses what is published before it runs.",
    fix: 'pgwatch listen',
  };
}

function withoutFile(id: string, folder: string): Finding {
  return {
    level: 'note',
    what: `${id} is registered in the database, but has no file in ${folder}.`,
    why: 'Unless another project runs it, what it has not read is never cleaned up.',
    fix:
      `pgwatch consumers show ${shellWord(id)}; and if it is no longer needed: ` +
      `pgwatch consumers remove ${shellWord(id)}`,
  };
}

function notLoaded(file: string): Finding {
  return {
    level: 'note',
    what: `${relative(process.cwd(), file)} looks like a consumer file, but is not loaded.`,
    why: 'The name of a consumer file ends in .ts, .mts, .js or .mjs.',
    fix: 'Rename it, or start its name with "_" if it is not a consumer.',
  };
}

function faulty(message: string): Finding {
  return {
    level: 'problem',
    what: message,
    why: '"pgwatch listen" refuses to start: it runs all consumers or none.',
    fix: 'Correct these files.',
  };
}
