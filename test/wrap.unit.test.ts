import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { Chalk } from 'chalk';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { describeExamination } from '../src/cli/doctor/describe.ts';
import { StreamReporter } from '../src/reporter.ts';
import { terminalColumns, widthOf, wrapped } from '../src/wrap.ts';

afterEach(() => vi.unstubAllGlobals());

const SENTENCE =
  'The table pgwatch.delivery is locked: pid 4711 (psql) holds it, idle in transaction for 5 ' +
  'min: lock table pgwatch.delivery. Wait until that is done, or end it: select ' +
  'pg_terminate_backend(4711);';

describe.each([80, 160])('at %d columns', (columns) => {
  test('a report fits, is indented, and keeps its text', () => {
    const lines = reported(SENTENCE, { isTTY: true, columns });
    expect(lines.length).toBe(columns === 80 ? 3 : 2);
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
    for (const line of lines.slice(1)) expect(line).toMatch(/^ {4}\S/);
    expect(lines.join('\n').replaceAll(/\n {4}/g, ' ')).toMatch(/ error The table .*4711\);$/);
  });

  test('wide characters count as two columns', () => {
    const lines = reported('鍵 '.repeat(100), { isTTY: true, columns });
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
  });

  test("the doctor's what, why and fix all fit", () => {
    const lines = examined({ isTTY: true, columns });
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
    expect(lines.filter((line) => line.includes('[locks]'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('select pg_terminate_backend(4711);'))).not.toEqual(
      [],
    );
  });
});

test.each([
  '"pgwatch migrate rebase --schema other"',
  'pgwatch dlq list --consumer email;',
  "pgwatch trigger add 'a table' --exclude secret,other",
  'npx pgwatch consumers rename OLD NEW',
  'npm install pgwatch@latest',
  'alter table only "x y" set logged;',
  'https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS',
])('%s is never broken', (command) => {
  for (let columns = 20; columns <= 100; columns++) {
    const text = `Somebody has changed it by hand, then run: ${command} and look again.`;
    const lines = wrapped(text, { columns, indent: 2 }).split('\n');
    expect(lines.filter((line) => line.includes(command))).toHaveLength(1);
    expect(lines.map((line) => line.trim()).join(' ')).toBe(text);
  }
});

test('reports and fixes are not wrapped in a pipe', () => {
  expect(reported(SENTENCE, {})).toHaveLength(1);
  const fix = examined({}).filter((line) => line.startsWith('  fix'));
  expect(fix).toEqual([`  fix  ${SENTENCE}`]);
});

test('the lines of a stack are not wrapped', () => {
  const stack = `    at somewhere (${'x'.repeat(60)} ${'y'.repeat(60)}:1:2)`;
  expect(reported(`TypeError: no\n${stack}`, { isTTY: true, columns: 80 })[1]).toBe(`    ${stack}`);
});

test('a terminal that does not report its width has 80 columns', () => {
  expect(terminalColumns({ isTTY: true })).toBe(80);
  expect(terminalColumns({ isTTY: true, columns: 0 })).toBe(80);
  expect(terminalColumns({ columns: 120 })).toBe(null);
});

function reported(message: string, terminal: { isTTY?: boolean; columns?: number }): string[] {
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), terminal);
  // Colours take no width.
  new StreamReporter({ stream, colors: new Chalk({ level: 1 }) }).error(message);
  return stripVTControlCharacters(String(stream.read())).trimEnd().split('\n');
}

function examined(terminal: { isTTY?: boolean; columns?: number }): string[] {
  const finding = { check: 'locks', level: 'problem' as const, what: SENTENCE, why: SENTENCE };
  vi.stubGlobal('process', {
    ...process,
    env: { NO_COLOR: '1' },
    stdout: { isTTY: false, ...terminal },
  });
  const text = describeExamination({
    findings: [{ ...finding, fix: SENTENCE }],
    checked: [{ check: 'locks', outcome: 'problem', seen: '' }],
  });
  vi.unstubAllGlobals();
  return text.split('\n');
}
