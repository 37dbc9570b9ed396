import { readMigrations } from '../../database/migrations.ts';
import { fillNames, type Names, readSql } from '../../database/names.ts';

/** What the migrations make, as far as it can be compared with the catalogs of any major version. */
export type Expected = {
  tables: ExpectedTable[];
  functions: ExpectedFunction[];
  indexes: ExpectedIndex[];
  views: string[];
};

export type ExpectedTable = { name: string; columns: { name: string; type: string }[] };

export type ExpectedIndex = { name: string; sql: string };

export type ExpectedFunction = {
  schema: string;
  name: string;
  /** As in pg_proc.prosrc; null where the catalogs hold no text of it, but a parsed one. */
  body: string | null;
  isDefiner: boolean;
  /** It pins its search_path. */
  isPinned: boolean;
};

/** Reads the files of the migrations, which are written so that this can be found in them. */
export function readExpected(names: Names): Expected {
  const sql = [readSql('bootstrap.sql'), ...readMigrations().map((each) => each.sql)].join('\n');
  return {
    tables: tablesIn(sql),
    functions: functionsIn(sql, names),
    indexes: indexesIn(sql, names),
    views: namesIn(sql, /^create view :"schema"\.(\w+)/gm),
  };
}

function tablesIn(sql: string): ExpectedTable[] {
  const tables = sql.matchAll(/^create table(?: if not exists)? :"schema"\.(\w+) \(\n(.*?)^\)/gms);
  return [...tables].map(([, name = '', body = '']) => ({
    name,
    columns: [...body.matchAll(/^ {2}(\w+) ([a-z][\w]*(?:\[\])?)/gm)]
      .filter(([, column = '']) => !/^(primary|unique|check|constraint|foreign)$/.test(column))
      .map(([, column = '', type = '']) => ({ name: column, type })),
  }));
}

function functionsIn(sql: string, names: Names): ExpectedFunction[] {
  const functions = sql.matchAll(
    /^create function :"(schema|api_schema)"\.(\w+)\((.*?)\)\s+returns (.*?)^(?:as (\$\w*\$)(.*?)\5;|return |begin atomic)/gms,
  );
  return [...functions].map(([, place, name = '', , header = '', quote, body = '']) => ({
    schema: place === 'schema' ? names.schema : names.apiSchema,
    name,
    body: quote === undefined ? null : fillNames(body, names),
    isDefiner: /^security definer$/m.test(header),
    isPinned: /^set search_path = pg_catalog, pg_temp$/m.test(header),
  }));
}

function indexesIn(sql: string, names: Names): ExpectedIndex[] {
  const statements = sql.matchAll(/^create (?:unique )?index (\w+).*?;$/gms);
  return [...statements].map(([text, name = '']) => ({
    name,
    sql: fillNames(text, names).replaceAll(/\s+/g, ' '),
  }));
}

function namesIn(sql: string, pattern: RegExp): string[] {
  return [...sql.matchAll(pattern)].map(([, name = '']) => name);
}
