import { type Names, qualified, readSql } from '../../database/names.ts';

/** One privilege that a role of some kind is granted. */
export type Grant = {
  type: 'table' | 'sequence' | 'function' | 'schema';
  /** As SQL writes it, with the types of a function's parameters. */
  object: string;
  privilege: string;
};

/** What sql/grants gives to roles of this kind. */
export function readGrants(kind: 'publish' | 'consume' | 'read', names: Names): Grant[] {
  const sql = readSql(`grants/${kind}.sql`);
  // What stands in a block is granted where it is needed only.
  const block = sql.includes('grant usage on schema :"api_schema"') ? [apiUsage(names)] : [];
  const statements = sql
    .replaceAll(/^--.*$/gm, '')
    .replaceAll(/do \$\$.*?\$\$;/gs, '')
    .matchAll(/grant ([\w, ]+?)\s+on (schema |function\s|sequence )?(.*?)\s+to :"role"/gs);
  const grants = [...statements].flatMap(([, privileges = '', type = '', objects = '']) =>
    objectsIn(objects).flatMap((object) =>
      privileges.split(/,\s*/).map((privilege) => ({
        type: (type.trim() || 'table') as Grant['type'],
        object: named(object, names),
        privilege,
      })),
    ),
  );
  return [...block, ...grants];
}

function apiUsage({ apiSchema }: Names): Grant {
  return { type: 'schema', object: apiSchema, privilege: 'usage' };
}

/** Between the commas, but for those of a function's parameters. */
function objectsIn(list: string): string[] {
  return list.split(/,(?![^(]*\))/).map((object) => object.trim());
}

function named(object: string, { schema, apiSchema }: Names): string {
  if (object === ':"schema"') return schema;
  const [, place, name = '', rest = ''] = /^:"(schema|api_schema)"\.(\w+)(.*)$/s.exec(object) ?? [];
  return qualified(place === 'schema' ? schema : apiSchema, name) + rest;
}
