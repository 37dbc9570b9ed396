import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { type Cli, type CliOptions, startCli } from '../cli.ts';

/** Runs the consumers of a folder in a process of their own, through the door under test. */
export function startListening(url: string, options: Omit<CliOptions, 'command'>): Cli {
  const door = inject('door');
  if (door === 'files') return startCli(['listen', '--database-url', url], options);
  // Without a cache, the types are stripped at each start, which takes longer than all else.
  const env = { ...options.env, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') };
  return startCli([door, url], { ...options, env, command: [process.execPath, PROGRAM] });
}

const PROGRAM = fileURLToPath(new URL('process.ts', import.meta.url));
