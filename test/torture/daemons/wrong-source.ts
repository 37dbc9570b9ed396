import { registerHooks } from 'node:module';

/** A change that makes a file of src/ wrong when it is loaded. */
export type SourceChange = {
  /** Its path, from src/. */
  file: string;
  /** What it says; once. */
  right: string;
  wrong: string;
};

/** Changes a file of src/ for this process, which must not have loaded it before. */
export function changeSource({ file, right, wrong }: SourceChange): void {
  const { href } = new URL(`../../../src/${file}`, import.meta.url);
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url !== href) return loaded;
      return { ...loaded, source: changed(String(loaded.source), { file, right, wrong }) };
    },
  });
}

/** @throws if the text does not contain what is to be changed, once */
export function changed(text: string, { file, right, wrong }: SourceChange): string {
  const [before, after, ...more] = text.split(right);
  if (after === undefined || more.length > 0) {
    throw new Error(`src/${file} does not contain what is to be changed, or not once: ${right}`);
  }
  return `${before}${wrong}${after}`;
}
