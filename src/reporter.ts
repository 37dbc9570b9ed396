import { Chalk, type ChalkInstance, supportsColorStderr } from 'chalk';
import { terminalColumns, widthOf, wrapped } from './wrap.ts';

export type ReportLevel = 'debug' | 'info' | 'warn' | 'error';
export type Fields = Record<string, string | number | boolean | null>;
export type ReportFormat = 'text' | 'json';

export type ReporterOptions = {
  /** Default text. With json, every report is a JSON object on one line. */
  format?: ReportFormat;
  /** The lowest level that is shown. Default info. */
  level?: ReportLevel;
  /** Default process.stderr: stdout is for data only. */
  stream?: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  /** Default: what the terminal supports; none if NO_COLOR is set. */
  colors?: ChalkInstance;
};

/**
 * What pgwatch tells its operator. Not called a log: the log is the table. A program may bring its
 * own, to pass the reports on to the logger it has.
 */
export type Reporter = Record<ReportLevel, (message: string, fields?: Fields) => void>;

/** Writes reports to a stream, for people or as JSON lines. */
export class StreamReporter implements Reporter {
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

  /** True if a line can be redrawn in place: on a terminal, in text format. */
  get isInteractive(): boolean {
    return this.#format === 'text' && this.#stream.isTTY === true;
  }

  /** Columns of the terminal; 80 if unknown. */
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

  /**
   * Shows a status line, which the next one replaces; reports are printed above it. An empty line
   * removes it.
   */
  status(line: string): void {
    if (!this.isInteractive || line === this.#statusLine) return;
    this.#statusLine = line;
    this.#stream.write(`\r\u001b[2K${line}`);
  }

  /** Writes a line of data to stdout unchanged, above the status line if both share a terminal. */
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
      // The lines of a stack trace are not wrapped.
      columns === null || line.startsWith(' ') ? line : wrapped(line, { columns, indent: 4, used });
    const [first = '', ...rest] = printable(message).split('\n');
    // Indented, so foreign text cannot look like a report.
    const lines = [lineOf(first, widthOf(head)), ...rest.map((line) => lineOf(line, 4))];
    return `${head}${lines.join('\n    ')}`;
  }

  #mark(level: ReportLevel): string {
    if (level === 'error') return this.#colors.red('error ');
    if (level === 'warn') return this.#colors.yellow('warning ');
    return level === 'debug' ? this.#colors.dim('debug ') : '';
  }
}

/** Colours for a stream: none if it is not a terminal or NO_COLOR is set (no-color.org). */
export function colorsFor(stream: { isTTY?: boolean }): ChalkInstance {
  const isPlain = Boolean(process.env.NO_COLOR) || (!stream.isTTY && !process.env.FORCE_COLOR);
  return isPlain ? new Chalk({ level: 0 }) : stderrColors();
}

/**
 * Makes control characters visible, so text from a payload can neither control the terminal nor
 * reorder the text next to it: characters that set the direction of text are escaped, too.
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
