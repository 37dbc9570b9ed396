import type { Client } from 'pg';
import { type MigrationState, readMigrationStates } from '../../database/migrate.ts';
import type { Names } from '../../database/names.ts';
import { readLeftBy } from '../../database/unrecorded.ts';
import type { Check, Finding } from './check.ts';

/** Checks that pgwatch is installed, in this version. */
export const schema: Check = {
  name: 'schema',
  runs: 'transaction',
  needs: 'nothing',
  async run(client, { config }) {
    const states = await readMigrationStates(client, config);
    const applied = states.filter(({ state }) => state === 'applied').length;
    return {
      findings: await schemaFindings(client, states, config),
      seen: `schema ${config.schema}, ${applied} of ${states.length} migrations`,
    };
  },
};

async function schemaFindings(
  client: Client,
  states: readonly MigrationState[],
  names: Names,
): Promise<Finding[]> {
  if (states.every(({ state }) => state === 'pending')) {
    const isLeft = (await readLeftBy(client, names)).size > 0;
    return [
      {
        level: 'problem',
        what: isLeft
          ? `The record of migrations in schema "${names.schema}" is missing.`
          : `pgwatch is not installed: there is no schema "${names.schema}".`,
        why: 'Nothing can be published or delivered there.',
        fix: isLeft
          ? 'pgwatch migrate: it restores what is missing, for example after a dump without ' +
            'rows, or a test suite that truncates every table.'
          : 'pgwatch migrate; or if it is installed in another schema, set schema in the config.',
      },
    ];
  }
  return states.flatMap((state) => {
    const found = BY_STATE[state.state];
    return found
      ? [{ level: 'problem', ...found(`Migration ${state.number} "${state.name}"`) }]
      : [];
  });
}

const BY_STATE: Record<MigrationState['state'], ((name: string) => Omit<Finding, 'level'>) | null> =
  {
    applied: null,
    pending: (name) => ({
      what: `${name} has not run in this database.`,
      why: 'Daemons of this version refuse to start on an older schema.',
      fix: 'pgwatch migrate',
    }),
    changed: (name) => ({
      what: `${name} was applied in a different version.`,
      why: 'Tables and functions may not be what the program expects, so it refuses to start.',
      fix:
        'Install the version of pgwatch that ran it, or start over: ' +
        'pgwatch migrate uninstall, then pgwatch migrate.',
    }),
    unknown: (name) => ({
      what: `${name} is from a newer version of pgwatch.`,
      why: 'This program does not know the schema, so it refuses to start.',
      fix: 'npm install pgwatch@latest',
    }),
  };
