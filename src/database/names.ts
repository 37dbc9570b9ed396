import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';

/** The schemas that SQL text is written for. */
export type Names = { schema: string; apiSchema: string };

/** A schema-qualified, quoted name. */
export function qualified(schema: string, name: string): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
}

/** The functions that people's SQL calls, which are not in our schema: their signatures. */
export function publicSignatures({ apiSchema }: Pick<Names, 'apiSchema'>): string[] {
  return [
    `${qualified(apiSchema, 'smart_notify')}(text, jsonb, text, uuid)`,
    `${qualified(apiSchema, 'smart_notify_many')}(text[], jsonb[], text[], uuid[])`,
    `${qualified(apiSchema, 'smart_notify_many')}(text[], jsonb[], text[], uuid[])`,
    `${qualified(apiSchema, 'notify_data_change')}()`,
  ];
}

/**
 * Writes the schemas into SQL text: :"schema" and :"api_schema" become quoted names, :'schema' and
 * :'api_schema' quoted literals (psql's way of writing variables).
 */
export function fillNames(sql: string, names: Names): string {
  const values: Record<string, string> = { schema: names.schema, api_schema: names.apiSchema };
  return sql.replaceAll(/(?<!:):(["'])(schema|api_schema)\1/g, (_, quote: string, name: string) => {
    const value = values[name] ?? '';
    return quote === '"' ? pg.escapeIdentifier(value) : pg.escapeLiteral(value);
  });
}

/** The text of a file under sql/, which lies beside src and dist alike. */
export function readSql(path: string): string {
  return readFileSync(new URL(`../../sql/${path}`, import.meta.url), 'utf8');
}

/**
 * A name for a prepared statement: the same text always gets the same one, of fewer than 64 bytes.
 */
export function statementName(purpose: string, text: string): string {
  return `pgwatch_${purpose}_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}
