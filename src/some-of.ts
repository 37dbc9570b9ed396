/** 'a, b, c', and where there are many how many more. */
export function someOf(texts: readonly string[], shown = 10): string {
  const more = texts.length - shown;
  const others = more > 0 ? ` and ${more.toLocaleString('en')} more` : '';
  return texts.slice(0, shown).join(', ') + others;
}
