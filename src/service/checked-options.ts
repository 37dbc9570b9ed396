import { PgwatchError } from '../errors.ts';
import { duration, isObject, type Kind, oneOf, shown, wholeNumber } from '../kinds.ts';
import { onlyKnown } from '../suggest.ts';

/**
 * The options that are given, each of its kind.
 * @param of the method, like "seek()"
 * @throws PgwatchError input_invalid
 */
export function checkedOptions<Values extends object>(
  of: string,
  given: object,
  kinds: { [Name in keyof Values]: Kind<Values[Name]> },
): Partial<Values> {
  if (!isObject(given)) throw inputInvalid(`${of} takes an object of options, not ${shown(given)}`);
  onlyKnown(given, Object.keys(kinds), of);
  const checked: Partial<Values> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const kind = kinds[name as keyof Values];
    checked[name as keyof Values] = checkedValue(`${of}: ${name} must be`, kind, value);
  }
  return checked;
}

/** @throws PgwatchError input_invalid */
export function checkedValue<Value>(must: string, kind: Kind<Value>, value: unknown): Value {
  const parsed = kind.parse(value);
  if (parsed !== undefined) return parsed;
  throw inputInvalid(`${must} ${kind.expected}, not ${shown(value)}`);
}

/** @param reason a sentence without its full stop */
export function inputInvalid(reason: string): PgwatchError {
  return new PgwatchError('input_invalid', `${reason}.`);
}

/** A point in time. */
export const time: Kind<Date> = {
  parse: (value) => (value instanceof Date && !Number.isNaN(value.getTime()) ? value : undefined),
  expected: 'a Date',
};

export const abortSignal: Kind<AbortSignal> = {
  parse: (value) => (value instanceof AbortSignal ? value : undefined),
  expected: 'an AbortSignal',
};

/** How long something takes that no timer waits for. */
export const anyDuration = duration('2h', {
  leastMs: 0,
  mostMs: Number.MAX_SAFE_INTEGER,
  most: '2^53 ms',
});

export const id = wholeNumber(1);
export const flag = oneOf(true, false);
