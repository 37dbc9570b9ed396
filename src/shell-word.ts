/** Quotes a text, if necessary, so that it is one word of a shell command, for people to copy. */
export function shellWord(text: string): string {
  return /^[\w.:-]+$/.test(text) ? text : shellQuoted(text);
}

/** Like shellWord, but always quotes: for bash, zsh and the like, not for fish. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
