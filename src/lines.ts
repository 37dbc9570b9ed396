import { shownJson } from './json.ts';
import { printable } from './reporter.ts';
import { ageText } from './words.ts';

/** Foreign text on a line of ours: it can neither control the terminal nor begin a new line. */
export function onOneLine(text: string): string {
  return printable(text).replaceAll(/\s/g, ' ');
}

/** JSON that a terminal can show: JSON.stringify leaves some control characters as they are. */
export function jsonText(value: unknown, indent: number): string {
  return printable(shownJson(value, indent));
}

/** '  name          value', on one line whatever the value is. */
export function field(name: string, value: string): string {
  return `  ${name.padEnd(FIELD_WIDTH)}${onOneLine(value)}`.trimEnd();
}

/** A time, and how long ago it is. */
export function timeField(name: string, time: Date | null): string {
  return field(name, time ? `${time.toISOString()}, ${ageText(time)}` : '-');
}

/** Indented further than our own lines, so foreign text cannot look like one. */
export function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}

const FIELD_WIDTH = 14;
