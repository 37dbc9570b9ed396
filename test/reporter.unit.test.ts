import { PassThrough } from 'node:stream';
import { Chalk } from 'chalk';
import { afterEach, expect, test, vi } from 'vitest';
import { colorsFor, printable, type ReporterOptions, StreamReporter } from '../src/reporter.ts';

afterEach(() => vi.unstubAllEnvs());

function makeReporter(options: ReporterOptions = {}, isTTY = false) {
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY });
  const reporter = new StreamReporter({ stream, colors: new Chalk({ level: 0 }), ...options });
  return { reporter, printed: () => String(stream.read() ?? '') };
}

test('a text report is a time, a level unless it is info, and the message', () => {
  const { reporter, printed } = makeReporter();
  reporter.debug('hidden');
  reporter.info('hello');
  reporter.warn('careful', { consumer: 'email' });
  reporter.error('broken');
  expect(printed().replaceAll(/\d\d:\d\d:\d\d/g, 'TIME')).toBe(
    'TIME hello\nTIME warning careful\nTIME error broken\n',
  );
});

test('a JSON report is one object on one line, with its fields', () => {
  const { reporter, printed } = makeReporter({ format: 'json', level: 'debug' });
  reporter.debug('a "quoted"\nline', { consumer: 'email', attempt: 2 });
  const lines = printed().trimEnd().split('\n');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    level: 'debug',
    message: 'a "quoted"\nline',
    consumer: 'email',
    attempt: 2,
  });
});

test.each(['debug', 'info', 'warn', 'error'] as const)(
  'with level %s, reports of that level and above are shown',
  (level) => {
    const { reporter, printed } = makeReporter({ level, format: 'json' });
    const levels = ['debug', 'info', 'warn', 'error'] as const;
    for (const each of levels) reporter[each]('x');
    const shown = printed()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).level);
    expect(shown).toEqual(levels.slice(levels.indexOf(level)));
  },
);

test('on a terminal the status line stays below the reports', () => {
  const { reporter, printed } = makeReporter({}, true);
  reporter.status('50 %');
  reporter.status('50 %');
  reporter.info('hello');
  reporter.status('');
  expect(printed().replaceAll(/\d\d:\d\d:\d\d/g, 'TIME')).toBe(
    '\r\u001b[2K50 %\r\u001b[2KTIME hello\n50 %\r\u001b[2K',
  );
});

test('no status line is drawn in a pipe or in JSON format', () => {
  for (const { reporter, printed } of [makeReporter(), makeReporter({ format: 'json' }, true)]) {
    reporter.status('50 %');
    expect(printed()).toBe('');
    expect(reporter.isInteractive).toBe(false);
  }
});

test('control characters in a message cannot control the terminal', () => {
  const { reporter, printed } = makeReporter();
  reporter.info('a\u001b[2Jb\u0007\u009b31m\r\u0000\u007f\ttab\nline é 🔔');
  expect(printed()).toMatch(
    / a\\u001b\[2Jb\\u0007\\u009b31m\\u000d\\u0000\\u007f\ttab\n {4}line é 🔔\n$/,
  );
  expect(printable('\u001b]8;;http://evil\u001b\\')).toBe('\\u001b]8;;http://evil\\u001b\\');
});

test('NO_COLOR and pipes turn colours off; FORCE_COLOR turns them on in a pipe', () => {
  vi.stubEnv('FORCE_COLOR', '');
  vi.stubEnv('NO_COLOR', '1');
  expect(colorsFor({ isTTY: true }).red('x')).toBe('x');
  vi.stubEnv('NO_COLOR', '');
  expect(colorsFor({ isTTY: false }).red('x')).toBe('x');
  vi.stubEnv('FORCE_COLOR', '1');
  vi.stubEnv('NO_COLOR', '1');
  expect(colorsFor({}).red('x')).toBe('x');
});

test('a message with line breaks cannot forge a report', () => {
  const texts: string[] = [];
  const stream = { write: (text: string) => texts.push(text) > 0 } as unknown as NodeJS.WriteStream;
  new StreamReporter({ stream }).error('failed\n12:00:00 all is well\r\n12:00:01 really');
  expect(
    texts
      .join('')
      .trimEnd()
      .split('\n')
      .slice(1)
      .every((line) => line.startsWith('    ')),
  ).toBe(true);
});
