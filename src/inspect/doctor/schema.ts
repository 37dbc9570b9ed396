import type { Client } from 'pg';
import { type MigrationState, readMigrationStates } from '../../database/migrate.ts';
import type { Names } from '../../database/names.ts';
import { readLeftBy } from '../../database/unrecorded.ts';
import type { Check, Finding } from './check.ts';

/** Whether pgwatch is installed there, in this version. */
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
          ? `Schema "${names.schema}" of pgwatch lacks the record of its migrations.`
          : `The database has no schema "${names.schema}" of pgwatch.`,
        why: 'Nothing can be published or handled there.',
        fix: isLeft
          ? 'pgwatch migrate: it restores what is missing, as after a dump without rows, or a test suite that truncates every table.'
          : 'pgwatch migrate. If it is installed under another name: set schema in the config.',
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
      what: `${name} ran in another version than the one of this program.`,
      why: 'Tables and functions may not be what the program takes them for, and it refuses to start.',
      fix: 'Install the version of pgwatch that ran it, or start over: pgwatch migrate uninstall, then pgwatch migrate.',
    }),
    unknown: (name) => ({
      what: `${name} is of a newer pgwatch than this one.`,
      why: 'This program does not know the schema, and refuses to start.',
      fix: 'Update the package pgwatch: npm install pgwatch@latest',
    }),
  };
