import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';

/** The schemas that are filled into SQL text. */
export type Names = { schema: string; apiSchema: string };

/** A schema-qualified, quoted name. */
export function qualified(schema: string, name: string): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
}

/** The signatures of the functions for users' SQL, which are not in our schema. */
export function publicSignatures({ apiSchema }: Pick<Names, 'apiSchema'>): string[] {
  return [
    `${qualified(apiSchema, 'smart_notify')}(text, jsonb, text, uuid)`,
    `${qualified(apiSchema, 'smart_notify_many')}(text[], jsonb[], text[], uuid[])`,
    `${qualified(apiSchema, 'notify_data_change')}()`,
  ];
}

/**
 * Fills the schemas into SQL text: :"schema" and :"api_schema" become quoted names, :'schema' and
 * :'api_schema' quoted literals (psql's syntax for variables).
 */
export function fillNames(sql: string, names: Names): string {
  const values: Record<string, string> = { schema: names.schema, api_schema: names.apiSchema };
  return sql.replaceAll(/(?<!:):(["'])(schema|api_schema)\1/g, (_, quote: string, name: string) => {
    const value = values[name] ?? '';
    return quote === '"' ? pg.escapeIdentifier(value) : pg.escapeLiteral(value);
  });
}

/** Reads a file under sql/, which is next to both src and dist. */
export function readSql(path: string): string {
  return readFileSync(new URL(`../../sql/${path}`, import.meta.url), 'utf8');
}

/**
 * A name of fewer than 64 bytes for a prepared statement; the same text always gets the same name.
 */
export function statementName(purpose: string, text: string): string {
  return `pgwatch_${purpose}_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}
