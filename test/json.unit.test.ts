import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isSameJson, parseJson, shownJson } from '../src/json.ts';

test.each([
  ['9007199254740991', 2 ** 53 - 1],
  ['9007199254740993', '9007199254740993'],
  ['-9223372036854775808', '-9223372036854775808'],
  ['10000000000000000000000', '10000000000000000000000'],
  ['12345678901234567.8900', '12345678901234567.89'],
  ['1.0000000000000000000', 1],
  ['0.30000000000000004', 0.30000000000000004],
  ['0.300000000000000041', '0.300000000000000041'],
  [`0.${'0'.repeat(399)}1`, `0.${'0'.repeat(399)}1`],
  ['-0.00000012345678901234566', -1.2345678901234566e-7],
])('%s becomes %j: a number if that is exact, otherwise a string', (text, expected) => {
  expect(parseJson(text)).toBe(expected);
  expect(parseJson(`{"a": [${text}]}`)).toEqual({ a: [expected] });
});

test('numbers of any length that PostgreSQL accepts are parsed in linear time', () => {
  const zeros = '0'.repeat(130_000);
  const numbers = [
    `1${zeros}.5`,
    `0.${zeros}5`,
    `1.5${zeros}`,
    `-1${zeros}.${zeros}`,
    `1${zeros}5`,
  ];
  // A regular expression that is tried at each zero would take minutes.
  const texts = Array.from({ length: 20 }, (_, index) => numbers[index % numbers.length]);
  const parsed = parseJson(`[${texts}]`) as unknown[];
  expect(parsed.slice(0, 5)).toEqual([numbers[0], numbers[1], 1.5, `-1${zeros}`, numbers[4]]);
}, 5000);

test('digits inside strings and member names are left alone', () => {
  const text = '{"9007199254740993": "9007199254740993.10"}';
  expect(parseJson(text)).toEqual({ '9007199254740993': '9007199254740993.10' });
});

test('a member called __proto__ is an ordinary member, also in the exact parser', () => {
  for (const number of ['1', '9007199254740993']) {
    const value = parseJson(`{"__proto__": {"x": ${number}}}`);
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  }
});

test.each([
  ['"a\\\\", 9007199254740993', ['a\\', '9007199254740993']],
  ['"a\\"9007199254740993", 9007199254740993.50', ['a"9007199254740993', '9007199254740993.5']],
  ['"", [-9007199254740993]', ['', ['-9007199254740993']]],
])('a quoted string ends where its closing quote is: %s', (members, expected) => {
  expect(parseJson(`[${members}]`)).toEqual(expected);
});

const nested = (depth: number, inner: string) =>
  '[{"a":'.repeat(depth) + inner + '}]'.repeat(depth);

test('JSON of any depth is parsed and compared', () => {
  const [value, same, other] = ['9007199254740993', '9007199254740993', '1'].map((inner) =>
    parseJson(nested(50_000, inner)),
  );
  expect(isSameJson(value, same)).toBe(true);
  expect(isSameJson(value, other)).toBe(false);
});

test('values are equal if all their members are', () => {
  const values = [null, 0, '0', [], {}, [null], { a: null }, { b: null }, { a: [{}] }, { a: [[]] }];
  for (const a of values) {
    for (const b of values) expect(isSameJson(structuredClone(a), b)).toBe(a === b);
  }
});

test('a value that is too deep is shown without its inner part', () => {
  const text = shownJson({ id: 1, at: new Date(0), payload: parseJson(nested(50_000, '1')) });
  expect(text).toMatch(/^\{"id":1,"at":"1970-01-01T00:00:00.000Z","payload":\[\{"a":\[/);
  expect(text).toContain('(too deep to be shown)');
  expect(shownJson(parseJson(nested(200, '1')))).toBe(nested(200, '1'));
});

test('what JavaScript wrote is parsed back, except integers beyond 2^53', () => {
  const value = fc.jsonValue().filter((json) => !/\d{16}|e\+/.test(JSON.stringify(json)));
  fc.assert(
    fc.property(value, (json) => {
      expect(parseJson(JSON.stringify(json))).toEqual(JSON.parse(JSON.stringify(json)));
    }),
  );
});
