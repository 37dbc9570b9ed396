import type { RoleKind } from '../../config/define.ts';
import { fillNames, type Names, qualified, readSql } from '../../database/names.ts';

/** One privilege that is granted to roles of a kind. */
export type Grant = {
  type: 'table' | 'sequence' | 'function' | 'schema' | 'column';
  /** As SQL writes it; a function with its parameter types. */
  object: string;
  privilege: string;
  /** The name of a column, else ''. */
  column: string;
};

/** Reads what sql/grants grants to roles of this kind. */
export function readGrants(kind: RoleKind, names: Names): Grant[] {
  const sql = readSql(`grants/${kind}.sql`);
  // A block grants only if that is needed.
  const block = sql.includes('grant usage on schema :"api_schema"') ? [apiUsage(names)] : [];
  const statements = sql
    .replaceAll(/^--.*$/gm, '')
    .replaceAll(/do \$\$.*?\$\$;/gs, '')
    .matchAll(/grant ([\w,\s()]+?)\s+on (schema |function\s|sequence )?(.*?)\s+to :"role"/gs);
  const grants = [...statements].flatMap(([, privileges = '', type = '', objects = '']) =>
    partsOf(objects).flatMap((object) =>
      partsOf(privileges).flatMap((privilege) =>
        grantsOf(named(object, names), (type.trim() || 'table') as Grant['type'], privilege),
      ),
    ),
  );
  return [...block, ...grants];
}

function apiUsage({ apiSchema }: Names): Grant {
  return { type: 'schema', object: apiSchema, privilege: 'usage', column: '' };
}

/** Parses 'select', or 'select (a, b)', which makes one grant for each column. */
function grantsOf(object: string, type: Grant['type'], text: string): Grant[] {
  const [, privilege = '', columns] = /^(\w+)(?: \((.*)\))?$/s.exec(text) ?? [];
  if (columns === undefined) return [{ type, object, privilege, column: '' }];
  return columns.split(/,\s*/).map((column) => ({ type: 'column', object, privilege, column }));
}

/** Splits at commas outside parentheses. */
function partsOf(list: string): string[] {
  return list.split(/,(?![^(]*\))/).map((part) => part.trim());
}

function named(object: string, names: Names): string {
  const { schema, apiSchema } = names;
  if (object === ':"schema"') return schema;
  const [, place, name = '', rest = ''] = /^:"(schema|api_schema)"\.(\w+)(.*)$/s.exec(object) ?? [];
  return qualified(place === 'schema' ? schema : apiSchema, name) + fillNames(rest, names);
}
