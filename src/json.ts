/**
 * Parses the text of a jsonb without losing digits: a number that JavaScript cannot hold exactly,
 * as a bigint or numeric column may, becomes a string of its digits, as the pg driver gives such
 * columns.
 */
export function parseJson(text: string): unknown {
  return LONG_NUMBER.test(text) ? JSON.parse(text, exactNumber) : JSON.parse(text);
}

function exactNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || source === undefined || isExact(value, source)) return value;
  return source.includes('.') ? source.replace(/\.?0+$/, '') : source;
}

function isExact(value: number, source: string): boolean {
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value);
  return significantDigits(String(value)) === significantDigits(source);
}

function significantDigits(number: string): string {
  return number
    .replace(/e.*$/i, '')
    .replaceAll(/[-.]/g, '')
    .replaceAll(/^0+|0+$/g, '');
}

/** What has fewer digits is exact: 15 always are, and 2^53 has 16. */
const LONG_NUMBER = /[\d.]{16}/;
