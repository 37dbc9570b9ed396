/*
The program of a test whose consumers run in a process of their own: node process.ts DOOR URL, in a
folder with consumer files.
*/
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadConfig } from '../../../src/config/load.ts';
import { StreamReporter } from '../../../src/reporter.ts';
import type { Door, TestDefinition } from './doors.ts';
import { runThrough } from './run.ts';

const [door, url] = process.argv.slice(2) as [Door, string];
const config = await loadConfig({ flags: { url } });
const definitions = await Promise.all(
  readdirSync(config.consumers).map(async (file): Promise<TestDefinition> => {
    const { default: definition } = await import(resolve(config.consumers, file));
    return definition;
  }),
);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
const reporter = new StreamReporter();
await runThrough(door, { config, definitions, reporter }, stop.signal);
