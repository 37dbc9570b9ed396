import { afterAll, vi } from 'vitest';

/*
Runs with each test file: files share a process, so what one changes in it is restored for the next.
(Files that change the parsers of pg, or mock modules, restore them themselves.)
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
