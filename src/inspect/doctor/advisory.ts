import { type AdvisoryHolder, readAdvisoryHolders } from '../../database/advisory.ts';
import { advisorySentence, remedy } from '../../database/in-the-way.ts';
import type { Check, Finding } from './check.ts';

/** Finds advisory locks of pgwatch that are held for long: any role can take one. */
export const advisory: Check = {
  name: 'advisory-locks',
  runs: 'transaction',
  needs: 'schema',
  async run(client, { config, limits }) {
    const holders = await readAdvisoryHolders(client, config.schema);
    const long = holders.filter(({ ms }) => ms === null || ms >= limits.lockMs);
    return { findings: long.map(findingOf), seen: `${holders.length} held exclusively` };
  },
};

function findingOf(holder: AdvisoryHolder): Finding {
  // A cleanup or a migration may take long.
  const isWork = ['cleanup', 'migrations'].includes(holder.what);
  return {
    level: isWork ? 'note' : 'problem',
    what: advisorySentence(holder),
    why:
      'Shared consumers, cleanup and migrations wait until it is released; ' +
      'a daemon that cannot take its doorbell lock polls.',
    fix: remedy(holder),
  };
}
