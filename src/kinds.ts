import { parseDurationMs, TIMER_MS_MAX } from './time.ts';

/** What the value of an option must be. */
export type Kind<Value> = {
  /** The value converted; undefined if it is not of this kind. */
  parse(value: unknown): Value | undefined;
  /** Completes "must be …" in a message. */
  expected: string;
};

/** One of these values. */
export function oneOf<const Value extends string | boolean>(...allowed: Value[]): Kind<Value> {
  return {
    parse: (value) => allowed.find((each) => each === value),
    expected: allowed
      .map(shown)
      .join(', ')
      .replace(/, ([^,]*)$/, ' or $1'),
  };
}

/** A whole number in a range, ends included. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): Kind<number> {
  const isInside = (value: unknown) =>
    Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;
  const bound = most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`;
  return {
    parse: (value) => (isInside(value) ? Number(value) : undefined),
    expected: `a whole number from ${least}${bound}`,
  };
}

/** The same, also as text: environment variables are always text. */
export function fromText({ parse, expected }: Kind<number>): Kind<number> {
  const number = (value: unknown) =>
    typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return { parse: (value) => parse(number(value)), expected };
}

/**
 * A duration as text with a unit, or in milliseconds; converted to milliseconds.
 * @param range.most of the range in words, if it is not what a timer can wait for
 */
export function duration(
  example: string,
  { leastMs = 1, mostMs = TIMER_MS_MAX, most = '24 days' } = {},
): Kind<number> {
  const least = leastMs > 1 ? `at least ${leastMs} ms and ` : '';
  return {
    parse(value) {
      const ms = parseDurationMs(value);
      return ms !== undefined && ms >= leastMs && ms <= mostMs ? ms : undefined;
    },
    expected: `a duration like '${example}', ${least}at most ${most}`,
  };
}

/** A name of 1 to 63 bytes, which is what PostgreSQL takes as a channel. */
export const name: Kind<string> = {
  parse: (value) => (isText(value) && Buffer.byteLength(value) <= 63 ? value : undefined),
  expected: 'a name of 1 to 63 bytes',
};

/** Text that PostgreSQL can hold, and is not empty. */
export function text(expected: string): Kind<string> {
  return { parse: (value) => (isText(value) ? value : undefined), expected };
}

/** A list of at least one item, without duplicates. */
export function listOf<Item>(item: Kind<Item>, items: string): Kind<readonly Item[]> {
  const isList = (value: unknown): value is Item[] =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((each) => item.parse(each) !== undefined) &&
    new Set(value).size === value.length;
  return {
    parse: (value) => (isList(value) ? value : undefined),
    expected: `a list of ${items}, without duplicates`,
  };
}

/** A value as messages show it, on one line. */
export function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return typeof value === 'string' ? `'${json.slice(1, -1).replaceAll('\\"', '"')}'` : json;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.includes('\0') && value.isWellFormed();
}
