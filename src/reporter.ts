import { Chalk, type ChalkInstance, supportsColorStderr } from 'chalk';
import { terminalColumns, widthOf, wrapped } from './wrap.ts';

export type ReportLevel = 'debug' | 'info' | 'warn' | 'error';
export type Fields = Record<string, string | number | boolean | null>;
export type ReportFormat = 'text' | 'json';

export type ReporterOptions = {
  /** Default text. With json every report is one JSON object on one line. */
  format?: ReportFormat;
  /** The least level that is shown. Default info. */
  level?: ReportLevel;
  /** Default process.stderr: data goes to stdout, reports never do. */
  stream?: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  /** Default: what the terminal can show, none where NO_COLOR is set. */
  colors?: ChalkInstance;
};

/** Prints what happens, for people or as JSON lines. Never called a log: the log is the table. */
export class Reporter {
  readonly #stream: NonNullable<ReporterOptions['stream']>;
  readonly #format: ReportFormat;
  readonly #level: ReportLevel;
  readonly #colors: ChalkInstance;
  #statusLine = '';

  constructor(options: ReporterOptions = {}) {
    this.#stream = options.stream ?? process.stderr;
    this.#format = options.format ?? 'text';
    this.#level = options.level ?? 'info';
    this.#colors = options.colors ?? stderrColors();
  }

  /** True where a line can be redrawn in place: a terminal, in text format. */
  get isInteractive(): boolean {
    return this.#format === 'text' && this.#stream.isTTY === true;
  }

  /** Columns of the terminal, 80 where unknown. */
  get columns(): number {
    return this.#stream.columns ?? 80;
  }

  debug(message: string, fields: Fields = {}): void {
    this.#report('debug', message, fields);
  }

  info(message: string, fields: Fields = {}): void {
    this.#report('info', message, fields);
  }

  warn(message: string, fields: Fields = {}): void {
    this.#report('warn', message, fields);
  }

  error(message: string, fields: Fields = {}): void {
    this.#report('error', message, fields);
  }

  /** Shows a line that the next status replaces and that reports are printed above. Empty: none. */
  status(line: string): void {
    if (!this.isInteractive || line === this.#statusLine) return;
    this.#statusLine = line;
    this.#stream.write(`\r\u001b[2K${line}`);
  }

  /**
   * Writes a line of data to stdout as it is, above the status line where both are one terminal.
   */
  data(line: string): void {
    const status = this.#statusLine;
    if (status) this.#stream.write('\r\u001b[2K');
    process.stdout.write(`${line}\n`);
    if (status) this.#stream.write(status);
  }

  #report(level: ReportLevel, message: string, fields: Fields): void {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(this.#level)) return;
    const text =
      this.#format === 'json'
        ? JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })
        : this.#line(level, message);
    const status = this.#statusLine;
    this.#stream.write(status ? `\r\u001b[2K${text}\n${status}` : `${text}\n`);
  }

  #line(level: ReportLevel, message: string): string {
    const time = this.#colors.dim(new Date().toTimeString().slice(0, 8));
    const head = `${time} ${this.#mark(level)}`;
    const columns = terminalColumns(this.#stream);
    const lineOf = (line: string, used: number) =>
      // Of a stack each line stays what it is.
      columns === null || line.startsWith(' ') ? line : wrapped(line, { columns, indent: 4, used });
    const [first = '', ...rest] = printable(message).split('\n');
    // Deeper than our own lines, so that no text of others looks like a report.
    const lines = [lineOf(first, widthOf(head)), ...rest.map((line) => lineOf(line, 4))];
    return `${head}${lines.join('\n    ')}`;
  }

  #mark(level: ReportLevel): string {
    if (level === 'error') return this.#colors.red('error ');
    if (level === 'warn') return this.#colors.yellow('warning ');
    return level === 'debug' ? this.#colors.dim('debug ') : '';
  }
}

/** Colours for a stream: none where it is no terminal or where NO_COLOR is set (no-color.org). */
export function colorsFor(stream: { isTTY?: boolean }): ChalkInstance {
  const isPlain = Boolean(process.env.NO_COLOR) || (!stream.isTTY && !process.env.FORCE_COLOR);
  return isPlain ? new Chalk({ level: 0 }) : stderrColors();
}

/**
 * Makes control characters visible, so that no text from a payload can steer the terminal, nor turn
 * what stands beside it around: those that set the direction of text count as such.
 */
export function printable(text: string): string {
  const steering = /[^\P{Cc}\t\n]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
  return text.replaceAll(steering, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function stderrColors(): ChalkInstance {
  if (process.env.NO_COLOR) return new Chalk({ level: 0 });
  return new Chalk({ level: supportsColorStderr ? supportsColorStderr.level : 0 });
}

const LEVELS: readonly ReportLevel[] = ['debug', 'info', 'warn', 'error'];
