import { expect, test } from 'vitest';
import { diffLines } from '../../src/cli/history/diff.ts';
import { seededRandom } from '../racing/random.ts';

const diff = (before: string, after: string) =>
  diffLines(before.split(''), after.split(''))
    .map(({ kind, text }) => `${kind}${text}`)
    .join(' ');

test.each([
  ['abc', 'abc', ' …'],
  ['abc', 'axc', ' a -b +x  c'],
  ['', 'ab', '+a +b'],
  ['abcd', 'bcde', '-a  b  c  d +e'],
  ['123456789x', '123456789y', ' …  7  8  9 -x +y'],
])('the difference between %s and %s', (before, after, expected) => {
  expect(diff(before, after)).toBe(expected);
});

test('the diff without the removed lines is the new text, for any texts', () => {
  const random = seededRandom(7);
  for (let n = 0; n < 300; n++) {
    const letters = () =>
      Array.from({ length: n % 9 }, () => 'abc'[Math.floor(random() * 3)] ?? '');
    const [before, after] = [letters(), letters()];
    // Only more than three equal lines in a row are left out.
    const lines = diffLines(before, after);
    if (lines.some(({ text }) => text === '…')) continue;
    expect(lines.filter(({ kind }) => kind !== '-').map(({ text }) => text)).toEqual(after);
    expect(lines.filter(({ kind }) => kind !== '+').map(({ text }) => text)).toEqual(before);
  }
});

test('very long texts are shown as all of the old one, then all of the new one', () => {
  const lines = (first: string) =>
    Array.from({ length: 3000 }, (_, index) => `${first}${index % 7}`);
  const found = diffLines(lines('a'), lines('b'));
  expect(found.map(({ kind }) => kind).join('')).toBe('-'.repeat(3000) + '+'.repeat(3000));
});
