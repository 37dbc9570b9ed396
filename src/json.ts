/**
 * Parses JSON without losing digits: an integer that a JavaScript number cannot hold exactly, as a
 * bigint column may, becomes a string of its digits, as the pg driver gives bigint columns.
 */
export function parseJson(text: string): unknown {
  return LONG_DIGITS.test(text) ? JSON.parse(text, exactInteger) : JSON.parse(text);
}

function exactInteger(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  const isInexact =
    typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined;
  return isInexact && /^-?\d+$/.test(source) ? source : value;
}

/** 2^53 has 16 digits. */
const LONG_DIGITS = /\d{16}/;
