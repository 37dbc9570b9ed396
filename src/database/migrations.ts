import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import pg from 'pg';
import { fillNames, type Names, readSql } from './names.ts';

/** Where pgwatch is installed, and the roles to grant privileges to. */
export type Installation = Names & {
  roles: Readonly<Record<string, readonly string[]>>;
};

/** One file of sql/migrations. */
export type Migration = {
  /** From the file's name, starting at 1. */
  number: number;
  name: string;
  /** SHA-256 of the file, in hex. */
  hash: string;
  /** The text, with placeholders for the schemas. */
  sql: string;
};

/** All migrations of this version of the program, in order. */
export function readMigrations(): Migration[] {
  const folder = new URL('../../sql/migrations/', import.meta.url);
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort();
  return files.map((file) => {
    const sql = readSql(`migrations/${file}`);
    return {
      number: Number(file.slice(0, 4)),
      name: file.slice(5, -'.sql'.length),
      hash: createHash('sha256').update(sql).digest('hex'),
      sql,
    };
  });
}

/** Creates the schema and the record of migrations, in one transaction. Safe to repeat. */
export function bootstrapSql(names: Names): string {
  const parts = [SAFE_PATH, readSql('bootstrap.sql'), readSql('seal.sql'), readSql('trust.sql')];
  return fillNames(parts.join('\n'), names);
}

/** The statements of one migration and its record, to run in one transaction. */
export function migrationSql(migration: Migration, names: Names): string {
  const values = [
    String(migration.number),
    pg.escapeLiteral(migration.name),
    pg.escapeLiteral(migration.hash),
  ];
  const columns = ':"schema".migration (number, name, hash)';
  const record = `insert into ${columns} values (${values.join(', ')});\n`;
  const parts = [SAFE_PATH, migration.sql.trimEnd(), '', readSql('seal.sql'), record];
  return fillNames(parts.join('\n'), names);
}

/**
 * Revokes all privileges except the owner's, then grants each role what it needs, in one
 * transaction. Safe to repeat.
 */
export function grantSql({ roles, ...names }: Installation): string {
  const grants = Object.entries(roles).flatMap(([kind, roleNames]) =>
    roleNames.map((role) =>
      readSql(`grants/${kind}.sql`)
        .replaceAll(':"role"', () => pg.escapeIdentifier(role))
        .replaceAll(":'role'", () => pg.escapeLiteral(role)),
    ),
  );
  return fillNames(
    `${SAFE_PATH}\n${readSql('seal.sql')}${readSql('trust.sql')}${grants.join('')}`,
    names,
  );
}

/** Otherwise one of our functions could call a malicious function in schema public. */
export const SAFE_PATH = 'set local search_path = pg_catalog, pg_temp;\n';
