import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addScript } from '../../src/cli/init/package-script.ts';

const add = (text: string) => addScript(text, 'pgwatch', 'pgwatch listen');

test.each([
  ['an empty object', '{}', '{\n  "scripts": {\n    "pgwatch": "pgwatch listen"\n  }\n}'],
  [
    'no scripts, and a list on one line',
    '{\n  "name": "a",\n  "files": ["b", "c"]\n}\n',
    '{\n  "name": "a",\n  "files": ["b", "c"],\n  "scripts": {\n    "pgwatch": "pgwatch ' +
      'listen"\n  }\n}\n',
  ],
  [
    'scripts with tabs, and no newline at the end',
    '{\n\t"scripts": {\n\t\t"test": "a \\"{\\" b"\n\t},\n\t"name": "x"\n}',
    '{\n\t"scripts": {\n\t\t"test": "a \\"{\\" b",\n\t\t"pgwatch": "pgwatch ' +
      'listen"\n\t},\n\t"name": "x"\n}',
  ],
  [
    'four spaces and Windows line endings',
    '{\r\n    "scripts": {}\r\n}\r\n',
    '{\r\n    "scripts": {\r\n        "pgwatch": "pgwatch listen"\r\n    }\r\n}\r\n',
  ],
  [
    'scripts on one line',
    '{\n  "scripts": { "test": "t" }\n}\n',
    '{\n  "scripts": { "test": "t", "pgwatch": "pgwatch listen" }\n}\n',
  ],
  [
    'other "scripts" at a deeper level',
    '{\n  "a": { "scripts": {} },\n  "scripts": {\n    "b": "c"\n  }\n}\n',
    '{\n  "a": { "scripts": {} },\n  "scripts": {\n    "b": "c",\n    "pgwatch": "pgwatch ' +
      'listen"\n  }\n}\n',
  ],
])('the script is added to %s', (_, before, after) => {
  expect(add(before)).toBe(after);
});

test('nothing but the script is added, whatever the file contains', () => {
  const scripts = fc.option(fc.dictionary(fc.string(), fc.string()), { nil: undefined });
  const content = fc.tuple(
    fc.dictionary(fc.string(), fc.jsonValue()),
    scripts,
    fc.constantFrom(0, 1, 2, 4, '\t'),
  );
  fc.assert(
    fc.property(content, ([others, given, indent]) => {
      const { scripts: _, ...rest } = others;
      // As JSON has it: there is no -0.
      const before = JSON.parse(JSON.stringify({ ...rest, ...(given && { scripts: given }) }));
      const after = JSON.parse(add(JSON.stringify(before, null, indent)));
      expect(after).toEqual({ ...before, scripts: { ...given, pgwatch: 'pgwatch listen' } });
    }),
    { numRuns: 300 },
  );
});
