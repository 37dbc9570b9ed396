import type { Client } from 'pg';
import type { Finding } from './check.ts';
import type { ExpectedFunction } from './expected.ts';

type Found = {
  schema: string;
  name: string;
  body: string;
  isDefiner: boolean;
  isPinned: boolean;
};

/** Functions that are missing or changed; who may call them is another check's. */
export async function findFunctions(
  client: Client,
  expected: readonly ExpectedFunction[],
): Promise<Finding[]> {
  const { rows } = await client.query<Found>(
    `select n.nspname as schema, p.proname as name, p.prosrc as body, p.prosecdef as "isDefiner",
       coalesce(p.proconfig @> '{"search_path=pg_catalog, pg_temp"}', false) as "isPinned"
     from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
     where n.nspname = any($1) and p.proname = any($2)`,
    [expected.map(({ schema }) => schema), expected.map(({ name }) => name)],
  );
  return expected.flatMap((wanted) => {
    const there = rows.filter(
      ({ schema, name }) => schema === wanted.schema && name === wanted.name,
    );
    return changedFunction(wanted, there);
  });
}

function changedFunction(wanted: ExpectedFunction, there: readonly Found[]): Finding[] {
  const name = `Function ${wanted.schema}.${wanted.name}`;
  const isSame = (found: Found) =>
    (wanted.body === null || found.body === wanted.body) &&
    found.isDefiner === wanted.isDefiner &&
    (found.isPinned || !wanted.isPinned);
  if (there.some(isSame)) return [];
  if (there.length === 0) {
    const what = `${name} is missing.`;
    return [{ level: 'problem', what, why: 'What calls it fails.', fix: RESTORE }];
  }
  return [
    {
      level: 'problem',
      what: `${name} is not as this version of pgwatch made it.`,
      why: 'Somebody has replaced or altered it: what is promised of pgwatch is not promised of that.',
      fix: RESTORE,
    },
  ];
}

/** What mends whatever has drifted. */
export const RESTORE =
  '"pgwatch migrate sql" prints how it was made: run that part again (a function with "create or replace").';
