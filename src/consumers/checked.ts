import { type Kind, shown } from '../kinds.ts';

/**
 * The value of an option, converted.
 * @throws Error that says what it must be, to be shown after the name of its file
 */
export function checked<Value>(option: string, kind: Kind<Value>, value: unknown): Value {
  const parsed = kind.parse(value);
  if (parsed === undefined) {
    throw new Error(`${option} must be ${kind.expected}, not ${shown(value)}`);
  }
  return parsed;
}
