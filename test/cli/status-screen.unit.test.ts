import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { StatusScreen, type Terminal } from '../../src/cli/status/screen.ts';

/** A terminal with `rows` rows that records what is written to it. */
function terminal(rows: number, columns = 20) {
  const fake = Object.assign(new EventEmitter(), {
    rows,
    columns,
    written: [] as string[],
    write: (text: string) => fake.written.push(text) > 0,
  });
  return fake as typeof fake & Terminal;
}

/** The rows of the last frame, without control sequences. */
function rowsOf({ written }: { written: string[] }): string[] {
  let text = written.at(-1) ?? '';
  for (const steering of ['\u001b[K', '\u001b[H', '\u001b[J']) text = text.replaceAll(steering, '');
  return text.split('\r\n').slice(0, -1);
}

test('each frame overwrites the one before, and clears the rest of it', () => {
  const fake = terminal(10);
  const screen = new StatusScreen(fake);
  screen.draw(['a', 'b']);
  screen.draw(['c']);
  expect(fake.written.at(-1)).toBe('\u001b[Hc\u001b[K\r\n\u001b[J');
});

test('too many lines never scroll: the last row counts those left out', () => {
  const fake = terminal(5);
  const lines = Array.from({ length: 9 }, (_, index) => `line ${index}`);
  new StatusScreen(fake).draw(lines);
  expect(rowsOf(fake)).toEqual(['line 0', 'line 1', 'line 2', '… 6 more lines need…']);
  new StatusScreen(fake).draw(lines.slice(0, 4));
  expect(rowsOf(fake)).toEqual(lines.slice(0, 4));
});

test('the screen is redrawn on a resize, and restores the terminal at the end', () => {
  const fake = terminal(3);
  const screen = new StatusScreen(fake);
  screen.draw(['a', 'b', 'c']);
  expect(rowsOf(fake)).toHaveLength(2);
  fake.rows = 10;
  fake.emit('resize');
  expect(rowsOf(fake)).toEqual(['a', 'b', 'c']);
  screen.close();
  const [first, last] = [fake.written[0], fake.written.at(-1)];
  expect([first, last]).toEqual(['\u001b[?1049h\u001b[?25l', '\u001b[?25h\u001b[?1049l']);
  const count = fake.written.length;
  fake.emit('resize');
  expect(fake.written).toHaveLength(count);
});
