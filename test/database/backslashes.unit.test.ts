import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/*
The calling session parses a function's text: with standard_conforming_strings off, '\d' is 'd',
which silently changes a regular expression. Only E'…' strings mean the same everywhere.
*/
test('no string of our functions has a backslash that depends on a session setting', () => {
  const files = globSync('sql/migrations/*.sql');
  expect(files.length).toBeGreaterThan(5);
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
      .replace(/\/\*.*?\*\//gs, '')
      .replace(/--.*$/gm, '')
      .replace(/\bE'(?:[^'\\]|\\.|'')*'/g, "''");
    const lines = text.split('\n').filter((line) => line.includes('\\'));
    expect(lines, file).toEqual([]);
  }
});
