import { PgwatchError } from '../errors.ts';
import { checkGiven, configOf, type PgwatchOptions } from '../service/options.ts';
import { SILENT } from './silent.ts';

/** The options of createPgwatch(), except those that a test has of its own. */
export type TestPgwatchOptions = Omit<PgwatchOptions, keyof typeof OWN>;

/** The options of a test. */
export type TestOptions = PgwatchOptions & { url: string; schema: string; apiSchema: string };

/**
 * Completes the options with a schema, which comes first on the search path.
 * @throws PgwatchError config_invalid
 */
export async function testOptions(
  options: TestPgwatchOptions,
  schema: string,
): Promise<TestOptions> {
  const given = checkGiven(options);
  const own = Object.keys(options).find((name) => Object.hasOwn(OWN, name));
  if (own !== undefined) {
    throw invalid(`${own} is not an option of TestPgwatch.open(), which has a schema of its own.`);
  }
  const { url } = await configOf(given);
  if (url === null) throw invalid('TestPgwatch.open() requires url, or DATABASE_URL.');
  const apiSchema = `${schema}_api`;
  return {
    pollInterval: '50ms',
    reporter: SILENT,
    ...options,
    url: withSearchPath(url, apiSchema),
    schema,
    apiSchema,
  };
}

function withSearchPath(url: string, schema: string): string {
  const [start, query] = url.split('?');
  const parameters = new URLSearchParams(query);
  const given = parameters.get('options');
  const path = `-c search_path=${schema},public`;
  parameters.set('options', given ? `${given} ${path}` : path);
  return `${start}?${parameters}`;
}

function invalid(message: string): PgwatchError {
  return new PgwatchError('config_invalid', message);
}

const OWN = { pool: true, schema: true, apiSchema: true };
