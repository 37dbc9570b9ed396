import { PgwatchError } from '../../errors.ts';

/** The parts of a primary key as texts, and their columns, if they were named. */
export type IdTexts = { columns: string[] | null; texts: string[] };

/**
 * Reads 42, a=1,b=2, '{"a":1,"b":2}' or '[1,2]', which is in the order of the primary key.
 * @param primaryKey null if the table is gone: then the names and their number are not checked
 * @throws PgwatchError usage if it does not fit the primary key
 */
export function idTexts(text: string, primaryKey: readonly string[] | null): IdTexts {
  if (primaryKey?.length === 1 && !isNamed(text, primaryKey))
    return { columns: null, texts: [text] };
  const parsed = objectOf(text) ?? arrayOf(text) ?? pairsOf(text);
  if (!parsed) {
    if (primaryKey === null) return { columns: null, texts: [text] };
    throw unfit(text, primaryKey);
  }
  const { columns, texts } = parsed;
  const isFitting =
    primaryKey === null ||
    (texts.length === primaryKey.length &&
      (columns?.every((each) => primaryKey.includes(each)) ?? true));
  if (!isFitting) throw unfit(text, primaryKey);
  return parsed;
}

/** True if it names the only column of the key. Otherwise the key is the text as it is. */
function isNamed(text: string, [column = '']: readonly string[]): boolean {
  const { columns } = objectOf(text) ?? pairsOf(text) ?? {};
  return columns?.length === 1 && columns[0] === column;
}

function objectOf(text: string): IdTexts | null {
  const value = jsonOf(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const entries = Object.entries(value);
  if (entries.length === 0) return null;
  return { columns: entries.map(([name]) => name), texts: entries.map(([, each]) => textOf(each)) };
}

function arrayOf(text: string): IdTexts | null {
  const value = jsonOf(text);
  return Array.isArray(value) && value.length > 0
    ? { columns: null, texts: value.map(textOf) }
    : null;
}

function pairsOf(text: string): IdTexts | null {
  const pairs = text.split(',').map((pair) => /^([^=]+)=(.*)$/s.exec(pair));
  if (pairs.some((pair) => pair === null)) return null;
  return {
    columns: pairs.map((pair) => pair?.[1]?.trim() ?? ''),
    texts: pairs.map((pair) => pair?.[2] ?? ''),
  };
}

function jsonOf(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    // Keeps numbers as they are written: a bigint has more digits than a number can hold.
    return JSON.parse(text, (_key, value, context?: { source?: string }) =>
      typeof value === 'number' ? (context?.source ?? value) : value,
    );
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function unfit(text: string, primaryKey: readonly string[]): PgwatchError {
  const example = primaryKey.map((column, index) => `${column}=${index + 1}`).join(',');
  return new PgwatchError(
    'usage',
    `"${text}" does not fit the primary key (${primaryKey.join(', ')}): ` +
      `write ${example}, or as JSON '{"${primaryKey[0]}": 1, …}'.`,
  );
}
