import type { ClientBase, CustomTypesConfig } from 'pg';

/**
 * How values of the server are parsed on connections of ours. node-postgres has one table of
 * parsers for the whole process, which belongs to the application: it may parse times as texts, or
 * ids as BigInt. This table cannot be changed.
 */
export const OWN_TYPES: CustomTypesConfig = Object.freeze({
  getTypeParser: (oid: number, format?: string) =>
    format === 'binary' ? (BINARY.get(oid) ?? String) : (PARSERS.get(oid) ?? asText),
}) as CustomTypesConfig;

/** Values as PostgreSQL writes them. */
export const AS_TEXT: CustomTypesConfig = Object.freeze({
  getTypeParser: () => asText,
}) as never;

/**
 * Wraps a client of the user for statements of ours: their results are parsed as on connections of
 * ours.
 */
export function withOwnTypes<C extends ClientBase>(client: C): C {
  const query = (first: unknown, ...rest: unknown[]) => {
    const config = typeof first === 'string' ? { text: first, values: rest[0] } : (first as object);
    return client.query({ ...config, types: OWN_TYPES } as never);
  };
  return new Proxy(client, {
    get(target, name) {
      if (name === 'query') return query;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

type Parser = (text: string) => unknown;

/** Parses an array as PostgreSQL writes it, such as {a,"b c",NULL}, including nested arrays. */
export function parseArray(text: string, element: Parser): unknown[] {
  // Bounds that do not start at 1 come first, as in [0:1]={a,b}.
  let at = text.indexOf('{') + 1;
  const elements = (): unknown[] => {
    const found: unknown[] = [];
    while (at < text.length) {
      const next = text[at];
      if (next === '}') {
        at += 1;
        return found;
      }
      if (next === ',') at += 1;
      else if (next === '{') {
        at += 1;
        found.push(elements());
      } else if (next === '"') found.push(element(quoted()));
      else {
        const word = bare();
        found.push(word === 'NULL' ? null : element(word));
      }
    }
    return found;
  };
  const quoted = (): string => {
    let value = '';
    for (at += 1; at < text.length && text[at] !== '"'; at += 1) {
      if (text[at] === '\\') at += 1;
      value += text[at];
    }
    at += 1;
    return value;
  };
  const bare = (): string => {
    const start = at;
    while (at < text.length && text[at] !== ',' && text[at] !== '}') at += 1;
    return text.slice(start, at);
  };
  return elements();
}

/** Parses a time in ISO format; without a zone, it is from a session whose time zone is UTC. */
export function parseTime(text: string): Date {
  const [, year = '', rest, time = '00:00:00', zone = 'Z', isBefore] = TIME.exec(text) ?? [];
  if (rest === undefined) return new Date(FOREVER[text] ?? Number.NaN);
  const number = isBefore ? 1 - Number(year) : Number(year);
  const digits = String(Math.abs(number)).padStart(number >= 0 && number <= 9999 ? 4 : 6, '0');
  const sign = number < 0 ? '-' : number > 9999 ? '+' : '';
  const offset = /^[+-]\d\d$/.test(zone) ? `${zone}:00` : zone;
  return new Date(`${sign}${digits}${rest}T${time}${offset}`);
}

const asText: Parser = (text) => text;
const asNumber: Parser = (text) => Number(text);
const asJson: Parser = (text) => JSON.parse(text);
const asBoolean: Parser = (text) => text === 't';
const arrayOf = (element: Parser) => (text: string) => parseArray(text, element);

const TIME = /^(\d{4,})(-\d\d-\d\d)(?: (\d\d:\d\d:\d\d(?:\.\d+)?))?([+-]\d\d(?::\d\d)?)?( BC)?$/;
/** The first and the last moment that JavaScript can represent. */
const FOREVER: Record<string, number> = { infinity: 8.64e15, '-infinity': -8.64e15 };

/**
 * For clients of the user that ask for binary results: our statements return only these types and
 * texts.
 */
const BINARY: ReadonlyMap<number, (value: Buffer) => unknown> = new Map<
  number,
  (value: Buffer) => unknown
>([
  [16, (value) => value[0] === 1],
  [23, (value) => value.readInt32BE()],
]);

/** By type oid, as in pg_type; all other types, including eight-byte ids, stay text. */
const PARSERS: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [16, asBoolean],
  [1000, arrayOf(asBoolean)],
  // bytea, in hex
  [17, (text) => Buffer.from(text.slice(2), 'hex')],
  // int2, int4, oid, float4, float8
  ...[21, 23, 26, 700, 701].map((oid) => [oid, asNumber] as const),
  ...[1005, 1007, 1028, 1021, 1022].map((oid) => [oid, arrayOf(asNumber)] as const),
  // json, jsonb
  ...[114, 3802].map((oid) => [oid, asJson] as const),
  ...[199, 3807].map((oid) => [oid, arrayOf(asJson)] as const),
  // date, timestamp, timestamptz
  ...[1082, 1114, 1184].map((oid) => [oid, parseTime] as const),
  ...[1182, 1115, 1185].map((oid) => [oid, arrayOf(parseTime)] as const),
  // text, varchar, bpchar, name, "char", int8, numeric, uuid
  ...[1009, 1015, 1014, 1003, 1002, 1016, 1231, 2951].map((oid) => [oid, arrayOf(asText)] as const),
]);
