/*
What it costs to import pgwatch, beside pg alone: each in a process of its own, by turns. Needs
npm run build:
  npm run bench -- import [ROUNDS]
*/
import { spawnSync } from 'node:child_process';
import { median } from './numbers.ts';

const [rounds = 25] = process.argv.slice(2).map(Number);
const PACKAGES = {
  pg: 'pg',
  pgwatch: new URL('../dist/index.js', import.meta.url).href,
};

/** In milliseconds. */
function timeOfImport(specifier: string): number {
  const script = `const before = performance.now();
    await import('${specifier}');
    console.log(performance.now() - before);`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script]);
  return Number(stdout);
}

const took = { pg: [] as number[], pgwatch: [] as number[] };
for (let round = 0; round < rounds; round += 1) {
  took.pg.push(timeOfImport(PACKAGES.pg));
  took.pgwatch.push(timeOfImport(PACKAGES.pgwatch));
}
const [pg, pgwatch] = [median(took.pg), median(took.pgwatch)];
console.log(
  `import: pg ${pg.toFixed(1)} ms, pgwatch ${pgwatch.toFixed(1)} ms, ` +
    `${(pgwatch - pg).toFixed(1)} ms more`,
);
