/**
 * A text as one word of a shell's command line, to be copied: whatever is in it, it stays one word.
 */
export function shellWord(text: string): string {
  return /^[\w.:-]+$/.test(text) ? text : shellQuoted(text);
}

/** The same in quotes always: for bash, zsh and the like, not for fish. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
