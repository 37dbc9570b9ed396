import { shortDuration } from './time.ts';

/** '1,234 dead letters', '1 dead letter'. */
export function countOf(count: number, noun: string, plural = `${noun}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? noun : plural}`;
}

/** 'a, b, c and 12 more': the first of the texts, and the number of the others. */
export function someOf(texts: readonly string[], shown = 10): string {
  const more = texts.length - shown;
  const others = more > 0 ? ` and ${more.toLocaleString('en')} more` : '';
  return texts.slice(0, shown).join(', ') + others;
}

/** '850 bytes', '4.2 kB', '12 GB': the units of PostgreSQL, which are powers of 1024. */
export function bytesText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  for (; value >= 1000 && unit < UNITS.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** How long ago a time was, such as '2 h ago'; '-' if there is none. */
export function ageText(time: Date | null): string {
  return time ? `${shortDuration(Math.max(0, Date.now() - time.getTime()))} ago` : '-';
}

/** 'TypeError: x is not a function'. The name 'Error' is left out: it adds nothing. */
export function errorText(error: { name: string; message: string } | null): string {
  if (!error) return '-';
  return error.name === 'Error' ? error.message : `${error.name}: ${error.message}`;
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];
