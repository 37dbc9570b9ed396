import { shownJson } from './json.ts';
import { printable } from './reporter.ts';
import { ageText } from './words.ts';

/** Foreign text for one of our lines: it can neither control the terminal nor start a new line. */
export function onOneLine(text: string): string {
  return printable(text).replaceAll(/\s/g, ' ');
}

/** JSON that is safe to print: JSON.stringify leaves some control characters as they are. */
export function jsonText(value: unknown, indent: number): string {
  return printable(shownJson(value, indent));
}

/** '  name          value', always on one line. */
export function field(name: string, value: string): string {
  return `  ${name.padEnd(FIELD_WIDTH)}${onOneLine(value)}`.trimEnd();
}

/** A time, and how long ago it was. */
export function timeField(name: string, time: Date | null): string {
  return field(name, time ? `${time.toISOString()}, ${ageText(time)}` : '-');
}

/** Indents foreign text further than our own lines, so it cannot look like one of them. */
export function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}

const FIELD_WIDTH = 14;
