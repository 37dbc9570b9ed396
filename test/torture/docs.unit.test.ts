import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EXPERIMENTS } from './experiments.ts';

test('docs/torture.md lists every experiment with its mutants', () => {
  const page = readFileSync(new URL('../../docs/torture.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| ([\w-]+) \| .* \| (.*) \|$/gm)];
  const listed = new Map(rows.map(([, name, mutants = '']) => [name, mutants.replaceAll('`', '')]));
  for (const { name, mutants } of EXPERIMENTS) {
    const names = Object.keys(mutants).join(' · ');
    expect([name, listed.get(name)]).toEqual([name, names]);
  }
});
