import { closeSync, existsSync, openSync, readSync, writeSync } from 'node:fs';

/**
 * An append-only file of JSON lines. A line is written with one call before append() returns, so a
 * process that is killed (-9) loses nothing, and the lines of several processes are in the order of
 * writing.
 */
export class RecordWriter<Entry> {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  append(entry: Entry): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Reads such a file while it grows. */
export class RecordReader<Entry> {
  /** What was read so far. */
  readonly entries: Entry[] = [];
  readonly #path: string;
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads what was appended since the last call. */
  refresh(): readonly Entry[] {
    const text = this.#readNew();
    const end = text.lastIndexOf('\n') + 1;
    this.#offset += Buffer.byteLength(text.slice(0, end));
    for (const line of text.slice(0, end).split('\n')) {
      if (line !== '') this.entries.push(JSON.parse(line) as Entry);
    }
    return this.entries;
  }

  #readNew(): string {
    if (!existsSync(this.#path)) return '';
    const file = openSync(this.#path, 'r');
    const chunks: Buffer[] = [];
    for (let position = this.#offset; ; ) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const size = readSync(file, chunk, 0, CHUNK_BYTES, position);
      if (size === 0) break;
      chunks.push(chunk.subarray(0, size));
      position += size;
    }
    closeSync(file);
    return Buffer.concat(chunks).toString('utf8');
  }
}

const CHUNK_BYTES = 2 ** 18;
