import type { Client } from 'pg';
import { type FoundFunction, isThere, readFunctions } from '../../database/damage.ts';
import type { ExpectedFunction } from '../../database/expected.ts';
import type { Finding } from './check.ts';

/** Functions that are missing or changed; another check covers who may call them. */
export async function findFunctions(
  client: Client,
  expected: readonly ExpectedFunction[],
): Promise<Finding[]> {
  const functions = await readFunctions(client, expected);
  return expected.flatMap((wanted) => {
    const there = functions.filter(
      ({ schema, name }) => schema === wanted.schema && name === wanted.name,
    );
    return changedFunction(wanted, there);
  });
}

function changedFunction(wanted: ExpectedFunction, there: readonly FoundFunction[]): Finding[] {
  const name = `Function ${wanted.schema}.${wanted.name}`;
  if (isThere(wanted, there)) return [];
  if (there.length === 0) {
    const what = `${name} is missing.`;
    return [{ level: 'problem', what, why: 'Everything that calls it fails.', fix: RESTORE }];
  }
  return [
    {
      level: 'problem',
      what: `${name} was replaced or altered.`,
      why: "pgwatch's guarantees do not cover it.",
      fix: RESTORE,
    },
  ];
}

/** Restores whatever has drifted, except columns and keys. */
export const RESTORE =
  'pgwatch migrate, as the role that installed pgwatch: ' +
  'it restores missing objects, and functions and triggers that were changed.';
