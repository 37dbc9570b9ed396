import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { changed } from './daemons/wrong-source.ts';
import { EXPERIMENTS } from './experiments.ts';

const changes = EXPERIMENTS.flatMap(({ mutants }) =>
  Object.values(mutants).flatMap(({ source = [] }) => source),
);

test.each(changes)('src/$file contains what a mutant changes: $right', (change) => {
  const text = readFileSync(new URL(`../../src/${change.file}`, import.meta.url), 'utf8');
  expect(changed(text, change)).toContain(change.wrong);
});

test('a change that does not fit, or fits twice, is refused', () => {
  const change = { file: 'a.ts', right: 'one', wrong: 'two' };
  expect(() => changed('zero', change)).toThrow('src/a.ts does not contain');
  expect(() => changed('one, one', change)).toThrow('src/a.ts does not contain');
});
