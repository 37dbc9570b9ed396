import { afterEach, expect, test, vi } from 'vitest';
import { printJson, printTable, tableLines } from '../../src/cli/table.ts';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** What the work writes on stdout: a terminal of `columns` columns, or a pipe. */
function printedBy(work: () => void, columns?: number): string {
  let text = '';
  vi.stubEnv('NO_COLOR', '1');
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += chunk;
    return true;
  });
  const original = { isTTY: process.stdout.isTTY, columns: process.stdout.columns };
  Object.assign(process.stdout, { isTTY: columns !== undefined, columns });
  try {
    work();
  } finally {
    Object.assign(process.stdout, original);
  }
  return text;
}

const rows = [
  ['email', 'orders, users'],
  ['a-long-name', '-'],
];

test('columns are aligned, and no line ends in spaces', () => {
  expect(printedBy(() => printTable(['CONSUMER', 'CHANNELS'], rows))).toBe(
    'CONSUMER     CHANNELS\nemail        orders, users\na-long-name  -\n',
  );
});

test('lines are cut on a narrow terminal, but not in a pipe', () => {
  expect(printedBy(() => printTable(['CONSUMER', 'CHANNELS'], rows), 20)).toBe(
    'CONSUMER     CHANNE…\nemail        orders…\na-long-name  -\n',
  );
});

test('control characters in a cell are shown, and line breaks do not break the table', () => {
  expect(printedBy(() => printTable(['A'], [['x\u001b[31m\ny']]))).toBe('A\nx\\u001b[31m y\n');
});

test('columns are aligned by display width, and direction marks are made visible', () => {
  const wide = [
    ['日本語', 'x'],
    ['👩‍💻 é', 'y'],
    ['\u202egnp', 'z'],
  ];
  expect(printedBy(() => printTable(['KEY', 'B'], wide))).toBe(
    'KEY        B\n日本語     x\n👩‍💻 é       y\n\\u202egnp  z\n',
  );
  expect(printedBy(() => printTable(['KEY'], [['日本語日本語']]), 6)).toBe('KEY\n日本…\n');
});

test('a table without rows is only a heading', () => {
  expect(printedBy(() => printTable(['A', 'B'], []))).toBe('A  B\n');
});

test('JSON is one line in a pipe, and indented on a terminal', () => {
  expect(printedBy(() => printJson([{ a: 1 }]))).toBe('[{"a":1}]\n');
  expect(printedBy(() => printJson({ a: 1 }), 80)).toBe('{\n  "a": 1\n}\n');
});

test('colours move no column, and are left out of a line that is cut', () => {
  const red = (text: string) => `\u001b[31m${text}\u001b[39m`;
  const paint = (text: string, heading: string) => (heading === 'B' ? red(text) : text);
  const rows = [['x', 'one', 'y'.repeat(10)]];
  vi.stubEnv('NO_COLOR', '1');
  Object.assign(process.stdout, { isTTY: true, columns: 20 });
  expect(tableLines(['A', 'B', 'C'], rows, paint)[1]).toBe(`x  ${red('one')}  yyyyyyyyyy`);
  Object.assign(process.stdout, { columns: 10 });
  expect(tableLines(['A', 'B', 'C'], rows, paint)[1]).toBe('x  one  y…');
});
