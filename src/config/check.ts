import { type ErrorCode, PgwatchError } from '../errors.ts';
import {
  duration,
  fromText,
  isObject,
  type Kind,
  name,
  oneOf,
  shown,
  text,
  wholeNumber,
} from '../kinds.ts';
import { suggest } from '../suggest.ts';
import { type Config, type Hook, ROLE_KINDS } from './define.ts';
import { checkTriggerOptions } from './triggers.ts';

/** Options from one place: the config file, the environment or the command line. */
export type OptionSource = {
  /** Keyed by their names in a config file. */
  options: Record<string, unknown>;
  /** The name of an option in that place, for messages. */
  nameOf(name: string): string;
  /** The code of errors in these options. Default config_invalid. */
  fault?: ErrorCode;
};

const CENTURY_MS = 36_525 * 86_400_000;
const CONNECTION_STRING =
  'a URL like postgres://user:password@host:5432/database,' +
  ' with special characters in the password percent-encoded, like %23 for "#"';
const SCHEMA_NAME = 'a name of 1 to 63 bytes that neither begins with "pg_" nor contains "$$"';

const url: Kind<string> = { parse: connectionString, expected: CONNECTION_STRING };
const schema: Kind<string> = { parse: schemaName, expected: SCHEMA_NAME };

const hook: Kind<Hook> = {
  parse: (value) => (typeof value === 'function' ? (value as Hook) : undefined),
  expected: 'a function',
};

/** The properties of a Config that options become, and what each must be. */
const CHECKS: Record<
  string,
  { key: keyof Config; kind: { parse(value: unknown, name: string): unknown; expected: string } }
> = {
  url: { key: 'url', kind: url },
  directUrl: { key: 'directUrl', kind: url },
  tls: { key: 'tls', kind: oneOf('verify', 'no-verify', 'off') },
  schema: { key: 'schema', kind: schema },
  apiSchema: { key: 'apiSchema', kind: schema },
  roles: {
    key: 'roles',
    kind: {
      parse: roles,
      expected: `an object with lists of role names (not public): ${ROLE_KINDS.join(', ')}`,
    },
  },
  triggers: {
    key: 'triggers',
    kind: {
      parse: triggers,
      expected:
        "an object of tables and their trigger options, like { users: { channel: 'users' } }",
    },
  },
  consumers: { key: 'consumers', kind: text('the path of a folder') },
  partition: { key: 'partition', kind: oneOf('day', 'hour') },
  partitionsAhead: { key: 'partitionsAhead', kind: fromText(wholeNumber(1, 100)) },
  // No timer waits for it.
  retention: {
    key: 'retentionMs',
    kind: duration('7d', { mostMs: CENTURY_MS, most: '100 years' }),
  },
  pollInterval: { key: 'pollIntervalMs', kind: duration('5s', { leastMs: 10 }) },
  reconnectDelay: { key: 'reconnectDelayMs', kind: duration('500ms') },
  heartbeatInterval: { key: 'heartbeatIntervalMs', kind: duration('5s', { leastMs: 10 }) },
  heartbeatDeadline: { key: 'heartbeatDeadlineMs', kind: duration('5s', { leastMs: 10 }) },
  maxBatchSize: { key: 'maxBatchSize', kind: fromText(wholeNumber(1, 10_000)) },
  maxBatchBytes: { key: 'maxBatchBytes', kind: { parse: bytes, expected: "a size like '4MB'" } },
  poolSize: { key: 'poolSize', kind: fromText(wholeNumber(2, 1000)) },
  shutdownTimeout: { key: 'shutdownTimeoutMs', kind: duration('30s', { leastMs: 0 }) },
  around: { key: 'around', kind: hook },
  onDead: { key: 'onDead', kind: hook },
};

/** The names of all options, as in a config file. */
export const OPTION_NAMES: readonly string[] = Object.keys(CHECKS);

/**
 * Checks the options of one source and converts them to properties of a Config.
 * @throws PgwatchError config_invalid (or the source's code), with the option and what it must be
 */
export function checkOptions({
  options,
  nameOf,
  fault = 'config_invalid',
}: OptionSource): Partial<Config> {
  const checked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name] : undefined;
    if (!check) {
      throw new PgwatchError(
        fault,
        `${nameOf(name)} is not an option.${suggest(name, OPTION_NAMES)}` +
          ` Options are: ${OPTION_NAMES.join(', ')}.`,
      );
    }
    const parsed = check.kind.parse(value, nameOf(name));
    if (parsed === undefined) {
      // A connection string is not shown: it may hold a password.
      const not = check.kind === url ? '' : `, not ${shown(value)}`;
      throw new PgwatchError(fault, `${nameOf(name)} must be ${check.kind.expected}${not}.`);
    }
    checked[check.key] = parsed;
  }
  return checked;
}

/** The text itself, if it can be parsed without mistaking part of the password for another part. */
function connectionString(value: unknown): string | undefined {
  const parts =
    typeof value === 'string' ? /^postgres(?:ql)?:\/\/([^/?#]*)([^?]*)/i.exec(value) : null;
  if (!parts || String(value).includes('#')) return undefined;
  const [, authority = '', path = ''] = parts;
  const isUnescaped = !authority.includes('@') && path.includes('@');
  // No host means a Unix socket, which the pg driver accepts and URL does not.
  const url = String(value).replace('@/', '@localhost/');
  return isUnescaped || !URL.canParse(url) ? undefined : String(value);
}

function schemaName(value: unknown): string | undefined {
  const name = identifier(value);
  return name?.startsWith('pg_') ? undefined : name;
}

/** Our SQL quotes any name, but "$$" would end the body of a function. */
function identifier(value: unknown): string | undefined {
  const found = name.parse(value);
  return found?.includes('$$') ? undefined : found;
}

function bytes(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isInteger(value) && value > 0 ? value : undefined;
  const match = typeof value === 'string' ? /^(\d+)\s*(B|KB|MB|GB)?$/i.exec(value.trim()) : null;
  if (!match) return undefined;
  const exponent = ['B', 'KB', 'MB', 'GB'].indexOf((match[2] ?? 'B').toUpperCase());
  return Number(match[1]) * 1024 ** exponent || undefined;
}

function roles(value: unknown): Config['roles'] | undefined {
  if (!isObject(value)) return undefined;
  const result: Record<string, string[]> = Object.fromEntries(ROLE_KINDS.map((kind) => [kind, []]));
  for (const [kind, names] of Object.entries(value)) {
    // PostgreSQL takes public for every role, even in quotes.
    const isList =
      Array.isArray(names) &&
      names.every((name) => identifier(name) !== undefined && name !== 'public');
    if (!Object.hasOwn(result, kind) || !isList) return undefined;
    result[kind] = names;
  }
  return result as unknown as Config['roles'];
}

/** @throws PgwatchError config_invalid if the options of a table are invalid */
function triggers(value: unknown, name: string): Config['triggers'] | undefined {
  if (!isObject(value)) return undefined;
  for (const [table, options] of Object.entries(value)) {
    if (!isObject(options)) return undefined;
    const nameOf = (option: string) => `${name}: ${JSON.stringify(table)}: ${option}`;
    checkTriggerOptions(options, nameOf, 'config_invalid');
  }
  return value as Config['triggers'];
}
