import { afterEach } from 'vitest';
import { createPgwatch, type Pgwatch, type PgwatchOptions } from '../../src/index.ts';
import { emptyLog, type TestDatabase } from './database.ts';

/**
 * Opens pgwatch as a program does, for the test file that calls it. After each test all are closed
 * and the log is emptied; hooks of the file that are set up later run before that.
 * @param defaults options of all of them
 * @returns `told`: what was reported in this test, like "warn: …", without debug; `warned()`: the
 *   warnings and errors among it
 */
export function useService(database: TestDatabase, defaults: PgwatchOptions = {}) {
  const opened: Pgwatch[] = [];
  const told: string[] = [];
  const reporter = {
    debug: () => {},
    info: (message: string) => told.push(`info: ${message}`),
    warn: (message: string) => told.push(`warn: ${message}`),
    error: (message: string) => told.push(`error: ${message}`),
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((pgwatch) => pgwatch.close()));
    await emptyLog(database);
    told.length = 0;
  });
  return {
    told,
    warned: () => told.filter((line) => !line.startsWith('info: ')),
    opened,
    open(options: PgwatchOptions = {}): Pgwatch {
      const place = options.pool || options.url ? {} : { url: database.url };
      const pgwatch = createPgwatch({ reporter, ...place, ...defaults, ...options });
      opened.push(pgwatch);
      return pgwatch;
    },
  };
}
