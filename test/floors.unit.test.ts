import { expect, test } from 'vitest';
import { findViolations, readSources } from './helpers/floors.ts';

test('every file imports only from lower floors or its own room', () => {
  const sources = readSources(new URL('../', import.meta.url));
  expect(sources.size).toBeGreaterThan(30);
  expect(findViolations(sources)).toEqual([]);
});

const HOUSE: [path: string, text: string][] = [
  ['src/index.ts', ''],
  ['src/time.ts', ''],
  ['src/reporter.ts', "import { Chalk } from 'chalk';"],
  ['src/config/file.ts', "import { cosmiconfig } from 'cosmiconfig';"],
  ['src/config/load.ts', "await import('./file.ts');"],
  ['src/database/connect.ts', "import pg from 'pg';\nimport { sleep } from '../time.ts';"],
  ['src/database/migrate.ts', "import type { Queryable } from './connect.ts';"],
  ['src/log/page.ts', "import type { Config } from '../config/load.ts';"],
  ['src/consumers/deliver.ts', "// import from '../cli/main.ts'\nimport '../log/page.ts';"],
  ['src/daemon/daemon.ts', "import '../consumers/deliver.ts';\nimport './owned/runner.ts';"],
  ['src/daemon/owned/runner.ts', "import '../calls/task.ts';\nimport '../../database/connect.ts';"],
  ['src/daemon/shared/runner.ts', "import '../calls/task.ts';"],
  ['src/daemon/calls/task.ts', ''],
  ['src/admin/server.ts', "import '../log/page.ts';"],
  ['src/cli/main.ts', "import 'commander';\nawait import('../daemon/daemon.ts');"],
];

test('a house in order has no violations', () => {
  expect(findViolations(new Map(HOUSE))).toEqual([]);
});

test.each([
  [
    'upwards',
    'src/log/other.ts',
    "import '../consumers/deliver.ts';",
    'floor 3 is not below floor 2',
  ],
  [
    'to a sibling',
    'src/relay/redis.ts',
    "import '../daemon/daemon.ts';",
    'floor 4 is not below floor 4',
  ],
  [
    'to a sibling, even for a type only',
    'src/database/connect.ts',
    "import type { Config } from '../config/load.ts';",
    'floor 1 is not below floor 1',
  ],
  [
    'upwards at run time',
    'src/time.ts',
    "await import('./log/page.ts');",
    'floor 2 is not below floor 0',
  ],
  [
    'upwards by a re-export',
    'src/time.ts',
    "export { a } from './log/page.ts';",
    'floor 2 is not below floor 0',
  ],
  [
    'from one engine to the other',
    'src/daemon/shared/runner.ts',
    "import '../owned/runner.ts';",
    'owned is not below shared',
  ],
  [
    'upwards within a room',
    'src/daemon/tail/tail.ts',
    "import '../owned/runner.ts';",
    'owned is not below tail',
  ],
  [
    'from the public door',
    'src/cli/main.ts',
    "import { notify } from '../index.ts';",
    'files inside must not use a public door',
  ],
  ['of chalk elsewhere', 'src/cli/main.ts', "import chalk from 'chalk';", 'it belongs to'],
  [
    'of cosmiconfig elsewhere',
    'src/cli/main.ts',
    "import { x } from 'cosmiconfig';",
    'it belongs to',
  ],
  [
    'of commander elsewhere',
    'src/daemon/daemon.ts',
    "import { Command } from 'commander';",
    'it belongs to',
  ],
  ['of a missing file', 'src/log/page.ts', "import './gone.ts';", 'there is no such file'],
  [
    'from a room without a floor',
    'src/cli/main.ts',
    "import '../utils/x.ts';",
    'one of the two rooms',
  ],
])('an import %s is reported', (_, file, text, problem) => {
  const sources = new Map([...HOUSE, ['src/utils/x.ts', ''] as const, [file, text] as const]);
  expect(findViolations(sources)).toEqual([expect.stringContaining(problem)]);
});

test.each([
  ['src/daemon/daemon.ts', 'const text = `select 1`;'],
  ['src/cli/main.ts', "query('update t set n = 1');"],
])('SQL in %s is reported', (file, text) => {
  const sources = new Map([...HOUSE, [file, text] as const]);
  expect(findViolations(sources)).toEqual([expect.stringContaining('holds SQL')]);
});

test('a cycle is reported, even if it passes through types', () => {
  const sources = new Map([
    ...HOUSE,
    ['src/log/a.ts', "import { b } from './b.ts';"] as const,
    ['src/log/b.ts', "import { c } from './c.ts';"] as const,
    ['src/log/c.ts', "import type { A } from './a.ts';"] as const,
  ]);
  expect(findViolations(sources)).toEqual([
    'A cycle: src/log/a.ts → src/log/b.ts → src/log/c.ts → src/log/a.ts.',
  ]);
});
