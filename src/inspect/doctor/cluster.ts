import { PgwatchError } from '../../errors.ts';
import { requireOwnCluster } from '../../log/origin.ts';
import { type Replicated, readPublications } from '../../log/replicated.ts';
import { someOf } from '../../words.ts';
import type { Check, Finding } from './check.ts';

/**
 * Checks that the log and the positions belong to this cluster and to each other. After some
 * restores they do not.
 */
export const cluster: Check = {
  name: 'cluster',
  runs: 'transaction',
  needs: 'schema',
  async run(client, { config }) {
    const published = (await readPublications(client, config.schema)).map(publishedFinding);
    try {
      await requireOwnCluster(client, config);
    } catch (thrown) {
      if (!(thrown instanceof PgwatchError)) throw thrown;
      return {
        findings: [foreign(thrown.message), ...published],
        seen: 'the log, the positions and this cluster do not belong together',
      };
    }
    return { findings: published, seen: 'the log and all positions belong to this cluster' };
  },
};

function foreign(message: string): Finding {
  // Its last sentence is the remedy.
  const [, what = message, fix = 'pgwatch migrate rebase'] =
    /^(.*?\.) ((?:Run|Leave) [^.]*\.)$/s.exec(message) ?? [];
  return {
    level: 'problem',
    what,
    why:
      'Stored transaction ids and positions sort wrongly here, and notifications would be lost: ' +
      'daemons refuse to start.',
    fix,
  };
}

function publishedFinding({ name, tables }: Replicated): Finding {
  return {
    level: 'note',
    what: `The publication ${name} includes pgwatch's own tables: ${someOf(tables)}.`,
    why:
      'A subscriber that uses pgwatch, too, gets them in its own log and positions, ' +
      'and its daemons refuse to start.',
    fix:
      'For such a subscriber, name tables or schemas in the publication ' +
      'instead of "for all tables".',
  };
}
