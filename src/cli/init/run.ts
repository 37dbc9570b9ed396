import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { errorCodeOf } from '../../errors.ts';
import { reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { nextSteps } from './next-steps.ts';
import type { InitOptions } from './options.ts';
import { addScript } from './package-script.ts';
import { type Project, readProject } from './project.ts';
import { configText, consumerText } from './templates.ts';

/** What was done about one part. */
type Part = { path: string; what: string; state: 'written' | 'would write' | 'there' };

/**
 * Writes a config, a consumer and a package script, unless the project has them.
 * @throws PgwatchError usage outside of a project
 */
export async function init(options: InitOptions): Promise<void> {
  const project = await readProject(process.cwd(), process.env);
  const parts = [writeConfig, writeConsumer, writeScript].map((write) =>
    write(project, options.dryRun ? 'would write' : 'written'),
  );
  const next = nextSteps(project);
  if (options.json) {
    const { folder, manager, databaseUrl } = project;
    return printJson({ folder, packageManager: manager, databaseUrl, parts, next });
  }
  const reporter = reporterFor(options);
  for (const { path, what, state } of parts)
    reporter.info(SAYINGS[state](shown(project, path), what));
  process.stdout.write(`\nNext:\n${next.map((step) => `  ${step}`).join('\n')}\n`);
}

function writeConfig(project: Project, state: Part['state']): Part {
  const { configFile, extension } = project;
  const what = 'the config';
  if (configFile) return { path: configFile, what, state: 'there' };
  const path = `pgwatch.config.${extension}`;
  return { path, what, state: write(project, path, configText(project), state) };
}

function writeConsumer(project: Project, state: Part['state']): Part {
  const { consumersFolder, consumerFiles, extension } = project;
  const [first] = consumerFiles;
  const what = 'a first consumer';
  // A project with consumers needs no example.
  if (first !== undefined) return { path: join(consumersFolder, first), what, state: 'there' };
  const path = join(consumersFolder, `hello.${extension}`);
  return { path, what, state: write(project, path, consumerText(project), state) };
}

function writeScript(project: Project, state: Part['state']): Part {
  const { folder, packageText, package: content } = project;
  const [path, what] = ['package.json', 'the script "pgwatch"'];
  if (content.scripts && Object.hasOwn(content.scripts, 'pgwatch'))
    return { path, what, state: 'there' };
  if (state === 'written') {
    writeFileSync(join(folder, path), addScript(packageText, 'pgwatch', 'pgwatch listen'));
  }
  return { path, what, state };
}

/** Writes a file, unless it exists. */
function write(project: Project, path: string, text: string, state: Part['state']): Part['state'] {
  const file = join(project.folder, path);
  if (state === 'would write') return state;
  mkdirSync(dirname(file), { recursive: true });
  try {
    writeFileSync(file, text, { flag: 'wx' });
    return 'written';
  } catch (thrown) {
    if (errorCodeOf(thrown) === 'EEXIST') return 'there';
    throw thrown;
  }
}

function shown({ folder }: Project, path: string): string {
  return relative(process.cwd(), join(folder, path));
}

const SAYINGS: Record<Part['state'], (path: string, what: string) => string> = {
  written: (path, what) => `${path}: wrote ${what}.`,
  'would write': (path, what) => `${path}: would write ${what}.`,
  there: (path, what) => `${path}: ${what} already exists.`,
};
