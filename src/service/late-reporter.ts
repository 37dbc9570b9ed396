import type { Fields, Reporter, StreamReporter } from '../reporter.ts';

/** Writes warnings and errors to stderr. What that takes is loaded with the first of them. */
export class LateReporter implements Reporter {
  #reporter: Promise<StreamReporter> | undefined;

  debug(): void {}

  info(): void {}

  warn(message: string, fields?: Fields): void {
    this.#say('warn', message, fields);
  }

  error(message: string, fields?: Fields): void {
    this.#say('error', message, fields);
  }

  #say(level: 'warn' | 'error', message: string, fields: Fields = {}): void {
    this.#reporter ??= import('../reporter.ts').then((loaded) => new loaded.StreamReporter());
    void this.#reporter.then((reporter) => reporter[level](message, fields));
  }
}
