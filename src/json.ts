/**
 * Parses the text of a jsonb without losing digits: a number that JavaScript cannot represent
 * exactly, such as one from a bigint or numeric column, becomes a string of its digits, as the pg
 * driver returns such columns. Works at any depth; a reviver would be called recursively.
 */
export function parseJson(text: string): unknown {
  return JSON.parse(LONG_NUMBER.test(text) ? withExactNumbers(text) : text);
}

/** Whether two parsed values are equal, at any depth. */
export function isSameJson(one: unknown, other: unknown): boolean {
  const pairs: [unknown, unknown][] = [[one, other]];
  for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
    const [a, b] = pair;
    if (a === b) continue;
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
    const [names, others] = [Object.keys(a), Object.keys(b)];
    if (Array.isArray(a) !== Array.isArray(b) || names.length !== others.length) return false;
    for (const name of names) {
      if (!Object.hasOwn(b, name)) return false;
      pairs.push([Reflect.get(a, name), Reflect.get(b, name)]);
    }
  }
  return true;
}

/** Shown in place of values that are nested too deeply. */
export const TOO_DEEP = '(too deep to be shown)';

/** Like JSON.stringify, but replaces what is nested too deeply for it with TOO_DEEP. */
export function shownJson(value: unknown, indent = 0): string {
  try {
    return JSON.stringify(value, null, indent);
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    return JSON.stringify(shallow(value, 0), null, indent);
  }
}

function shallow(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > SHOWN_DEPTH) return TOO_DEEP;
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return shallow(value.toJSON(), depth + 1);
  }
  if (Array.isArray(value)) return value.map((element) => shallow(element, depth + 1));
  const members = Object.entries(value).map(([name, member]) => [name, shallow(member, depth + 1)]);
  return Object.fromEntries(members);
}

function withExactNumbers(text: string): string {
  const marks = /"|-?\d[\d.eE+-]*/g;
  const parts: string[] = [];
  let end = 0;
  for (let found = marks.exec(text); found; found = marks.exec(text)) {
    const [token] = found;
    if (token === '"') marks.lastIndex = stringEnd(text, found.index);
    else if (!isExact(Number(token), token)) {
      parts.push(text.slice(end, found.index), `"${digitsOf(token)}"`);
      end = marks.lastIndex;
    }
  }
  return parts.join('') + text.slice(end);
}

function stringEnd(text: string, start: number): number {
  let end = start;
  for (;;) {
    end = text.indexOf('"', end + 1);
    if (end < 0) return text.length;
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
}

function digitsOf(number: string): string {
  if (!number.includes('.')) return number;
  const end = endBeforeZeros(number);
  return number.slice(0, number[end - 1] === '.' ? end - 1 : end);
}

function isExact(value: number, source: string): boolean {
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value);
  return significantDigits(String(value)) === significantDigits(source);
}

function significantDigits(number: string): string {
  const [mantissa = ''] = number.split(/e/i, 1);
  const digits = mantissa.replaceAll(/[-.]/g, '').replace(/^0+/, '');
  return digits.slice(0, endBeforeZeros(digits));
}

/**
 * The index where the trailing zeros begin. Not /0+$/, which is quadratic in runs of zeros: a
 * number can have 130,000 of them, and any publisher can send one.
 */
function endBeforeZeros(digits: string): number {
  let end = digits.length;
  while (digits[end - 1] === '0') end -= 1;
  return end;
}

/** Numbers with fewer digits are exact: 15 digits always are, and 2^53 has 16. */
const LONG_NUMBER = /[\d.]{16}/;
const SHOWN_DEPTH = 100;
