import { afterAll, vi } from 'vitest';

/*
Before each test file: files share a process, and what one changes of it is no business of the next. (The
parsers of pg, and modules that were mocked, are put back by the files that change them.)
*/

const environment = { ...process.env };
const terminals = [process.stdout, process.stderr].map((stream) => {
  const { isTTY, columns } = stream;
  return () => Object.assign(stream, { isTTY, columns });
});

afterAll(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  for (const name of Object.keys(process.env)) {
    if (!(name in environment)) delete process.env[name];
  }
  Object.assign(process.env, environment);
  for (const putBack of terminals) putBack();
});
