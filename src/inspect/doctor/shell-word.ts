/** A text as one word of a shell's command line, to be copied: whatever is in it, it stays one word. */
export function shellWord(text: string): string {
  return /^[\w.:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
