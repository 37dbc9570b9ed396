import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/**
 * Makes a folder with these files, like a user's project, for the test that calls it.
 * @param files contents by path; a package.json with "type": "module" is added
 */
export function makeProject(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'pgwatch-project-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, content] of Object.entries({ 'package.json': MODULE, ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

/** Installs pgwatch, built before, and packages that the repository has, as links. */
export function linkPackages(folder: string, packages: readonly string[]): void {
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  symlinkSync(ROOT, join(modules, 'pgwatch'));
  for (const name of packages) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
}

/** The text of a consumer file whose handler prints each payload as JSON on stdout. */
export function printingConsumer(id: string, channels: readonly string[]): string {
  return `export default {
  id: ${JSON.stringify(id)},
  channels: ${JSON.stringify(channels)},
  handle(notification) {
    console.log(JSON.stringify(notification.payload));
  },
};
`;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MODULE = '{ "type": "module" }';
