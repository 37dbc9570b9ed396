import type { QueryConfig } from 'pg';
import { statementName } from '../database/names.ts';
import { isCopyFromClient } from '../database/statements.ts';
import { PgwatchError } from '../errors.ts';

/** Called when a query has ended, as in pg. */
type Callback = (error: Error | null, result?: unknown) => void;

/** The arguments of a query() with pg's calling convention. */
export type QueryArguments = { config: QueryConfig; text: string; callback: Callback | undefined };

/**
 * Reads the arguments of query(text | config, [values], [callback]) as pg does: values override
 * those of the config, and the callback may be the second argument, the third, or part of the
 * config. Each property is read once, because what is checked must be what runs: with tagged
 * templates, the text is a getter.
 * @throws PgwatchError handler_failed if the arguments are not such a query
 */
export function readQueryArguments([query, values, last]: readonly unknown[]): QueryArguments {
  const given = typeof query === 'string' ? { text: query } : query;
  if (typeof given !== 'object' || given === null) throw refused('a query without a text');
  if ('submit' in given)
    throw refused('query objects such as those of pg-cursor and pg-query-stream');
  const { callback: own, ...read }: Given = readOnce(given as Given);
  const text = String(read.text ?? '');
  if (text === '') throw refused('a query without a text');
  if (isCopyFromClient(text)) {
    throw new PgwatchError(
      'handler_failed',
      'context.db has no stream for COPY … FROM STDIN: insert the rows,' +
        ' many at once with "insert into … select * from unnest($1::text[], …)".',
    );
  }
  const config: QueryConfig = { ...read, text };
  if (values && typeof values !== 'function') config.values = values as unknown[];
  // Other calls on the same connection may use the same name for another text.
  if (config.name) config.name = statementName('named', text);
  const callback = last ?? (typeof values === 'function' ? values : own);
  if (callback !== undefined && typeof callback !== 'function') throw refused('such a callback');
  return { config, text, callback: callback as Callback | undefined };
}

/** Runs a query. The result goes to the callback if there is one, else to the promise. */
export function answering(
  readArguments: () => QueryArguments,
  run: (query: QueryArguments) => Promise<unknown>,
): Promise<unknown> | undefined {
  let query: QueryArguments;
  try {
    query = readArguments();
  } catch (thrown) {
    return Promise.reject(thrown);
  }
  const { callback } = query;
  const running = run(query);
  if (!callback) return running;
  // Outside the promise: an error thrown by a callback is an uncaught exception, as with pg.
  running.then(
    (result) => process.nextTick(callback, null, result),
    (error) => process.nextTick(callback, error),
  );
  return undefined;
}

type Given = QueryConfig & { callback?: unknown };

/** The properties of a config that pg reads. */
const READ: readonly string[] = [
  'text',
  'values',
  'name',
  'types',
  'rowMode',
  'queryMode',
  'query_timeout',
  'rows',
  'binary',
  'portal',
  'callback',
];

function readOnce(given: Given): Given {
  const found = READ.map((name) => [name, Reflect.get(given, name)]);
  return Object.fromEntries(found.filter(([, value]) => value !== undefined)) as Given;
}

function refused(what: string): PgwatchError {
  return new PgwatchError(
    'handler_failed',
    `context.db takes no ${what.replace(/^a /, '')}: call query(text, values)` +
      ' or query({ text, values, … }); read many rows in pages, by key.',
  );
}
