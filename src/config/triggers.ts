import { type ErrorCode, PgwatchError } from '../errors.ts';
import { suggest } from '../suggest.ts';

/** What happens to rows; TRUNCATE to all of them at once. */
export type Operation = 'insert' | 'update' | 'delete' | 'truncate';

/** How the changes of a table are captured. Everything is optional. */
export type TriggerOptions = {
  /** The channel of its notifications, 1 to 63 bytes. Default 'data_change'. */
  channel?: string;
  /** Default: all four. */
  operations?: readonly Operation[];
  /**
   * An UPDATE counts only where one of these columns has changed, or the primary key. Default: any.
   */
  columns?: readonly string[];
  /** Columns that are never in a payload, like passwords. Default none. */
  exclude?: readonly string[];
  /**
   * What notifications hold. 'full' (default): the whole row. 'keys': only the columns of the
   * primary key and of `key`. 'changed': of an UPDATE these and what has changed, else the whole
   * row.
   */
  payload?: 'full' | 'keys' | 'changed';
  /** A condition in SQL over the rows old and new: only changes for which it is true count. */
  when?: string;
  /**
   * The columns that the key of a notification is made of: what has one key keeps its order.
   * Default: the primary key.
   */
  key?: readonly string[];
  /**
   * Whether a trigger runs once for each statement, which is cheaper for many rows, or for each
   * row. 'auto' (default): for each statement where that is right.
   */
  forEach?: 'auto' | 'statement' | 'row';
  /**
   * Whether writers NOTIFY. 'doorbell': only where a daemon sleeps; 'always': with the payload, for
   * plain LISTEN clients; 'off': never. Default: the setting pgwatch.notify, else 'doorbell'.
   */
  notify?: 'always' | 'doorbell' | 'off';
};

export const OPERATIONS: readonly Operation[] = ['insert', 'update', 'delete', 'truncate'];

/**
 * Checks the options of one table's capture.
 * @param nameOf what an option is called where it comes from, for messages
 * @throws PgwatchError with that code, that names the option and what it should be
 */
export function checkTriggerOptions(
  options: Readonly<Record<string, unknown>>,
  nameOf: (option: string) => string,
  fault: ErrorCode,
): TriggerOptions {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name as keyof TriggerOptions] : undefined;
    if (!check) {
      const known = Object.keys(CHECKS);
      throw new PgwatchError(
        fault,
        `${nameOf(name)} is no option of a trigger.${suggest(name, known)} Options are: ${known.join(', ')}.`,
      );
    }
    if (!check.isValid(value)) {
      throw new PgwatchError(
        fault,
        `${nameOf(name)} must be ${check.expected}, not ${JSON.stringify(value)}.`,
      );
    }
  }
  return options;
}

type Check = { isValid(value: unknown): boolean; expected: string };

const isName = (value: unknown) =>
  typeof value === 'string' && value !== '' && !value.includes('\0') && value.isWellFormed();

function listOf(isItem: (value: unknown) => boolean, expected: string): Check {
  const isValid = (value: unknown) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(isItem) &&
    new Set(value).size === value.length;
  return { isValid, expected: `a list of ${expected}, each once` };
}

function oneOf(...allowed: string[]): Check {
  return {
    isValid: (value) => allowed.includes(value as string),
    expected: allowed
      .map((each) => `'${each}'`)
      .join(', ')
      .replace(/, ([^,]*)$/, ' or $1'),
  };
}

const CHECKS: Record<keyof TriggerOptions, Check> = {
  channel: {
    isValid: (value) => isName(value) && Buffer.byteLength(value as string) <= 63,
    expected: 'a name of 1 to 63 bytes',
  },
  operations: listOf((value) => OPERATIONS.includes(value as Operation), OPERATIONS.join(', ')),
  columns: listOf(isName, 'columns'),
  exclude: listOf(isName, 'columns'),
  payload: oneOf('full', 'keys', 'changed'),
  when: { isValid: isName, expected: 'a condition in SQL' },
  key: listOf(isName, 'columns'),
  forEach: oneOf('auto', 'statement', 'row'),
  notify: oneOf('always', 'doorbell', 'off'),
};
