import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/*
A function's text is read by whatever session calls it: with standard_conforming_strings off, '\d' is 'd', and
a regular expression silently another one. Only strings written E'…' mean the same everywhere.
*/
test('no string of our functions has a backslash that a setting of the session could change', () => {
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
