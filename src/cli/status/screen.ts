import { cutToWidth } from '../table.ts';

/** The part of a terminal that a screen uses. */
export type Terminal = Pick<NodeJS.WriteStream, 'rows' | 'columns' | 'on' | 'off'> & {
  write(text: string): boolean;
};

/**
 * The alternate screen of the terminal, which has no history: nothing scrolls away, and afterwards
 * the previous contents come back.
 */
export class StatusScreen {
  readonly #terminal: Terminal;
  readonly #redraw = () => this.draw(this.#lines);
  #lines: readonly string[] = [];

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    terminal.write(`${ESCAPE}[?1049h${ESCAPE}[?25l`);
    terminal.on('resize', this.#redraw);
  }

  /** Draws the lines over the previous ones; lines that do not fit are counted. */
  draw(lines: readonly string[]): void {
    this.#lines = lines;
    const { rows, columns } = this.#terminal;
    // A newline in the last row would scroll.
    const room = Math.max(1, rows - 1);
    const left = lines.length - room;
    const more = `… ${left + 1} more lines need a taller window`;
    const shown = left > 0 ? [...lines.slice(0, room - 1), more] : lines;
    const text = shown.map((line) => `${cutToWidth(line, columns)}${ESCAPE}[K\r\n`).join('');
    this.#terminal.write(`${ESCAPE}[H${text}${ESCAPE}[J`);
  }

  /** Restores the terminal. */
  close(): void {
    this.#terminal.off('resize', this.#redraw);
    this.#terminal.write(`${ESCAPE}[?25h${ESCAPE}[?1049l`);
  }
}

const ESCAPE = '\u001b';
