/* npm run bench -- NAME [ARGUMENTS]: runs bench/NAME.ts; without a name it lists them. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = new URL('.', import.meta.url);
const names = readdirSync(folder)
  .filter((file) => !['index.ts', 'numbers.ts', 'server.ts', 'shared-process.ts'].includes(file))
  .map((file) => file.replace(/\.ts$/, ''));
const [name = '', ...args] = process.argv.slice(2);
if (names.includes(name)) {
  const script = fileURLToPath(new URL(`${name}.ts`, folder));
  process.exitCode =
    spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' }).status ?? 1;
} else {
  console.error(`Name one of: ${names.join(', ')}`);
  process.exitCode = 2;
}
