import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';

/** Source texts by path, as in src/log/page.ts. */
export type Sources = ReadonlyMap<string, string>;

/**
 * The floor of each room: a file imports from lower floors and from its own room, and nothing else.
 */
const FLOORS: Record<string, number> = {
  cli: 5,
  daemon: 4,
  inspect: 4,
  admin: 4,
  relay: 4,
  consumers: 3,
  capture: 3,
  log: 2,
  database: 1,
  config: 1,
};

/** Packages that only one place may know, so that another one can take their place. */
const HOMES: Record<string, RegExp> = {
  chalk: /^src\/reporter\.ts$/,
  'string-width': /^src\/wrap\.ts$/,
  cosmiconfig: /^src\/config\/load\.ts$/,
  commander: /^src\/cli\//,
  testcontainers: /^$/,
};

const DOOR = 'src/index.ts';

/** All files below src. */
export function readSources(root: URL): Sources {
  const paths = readdirSync(new URL('src', root), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join('src', path.replaceAll('\\', '/')));
  return new Map(paths.map((path) => [path, readFileSync(new URL(path, root), 'utf8')]));
}

/** What breaks the rules of the floors, a sentence each. */
export function findViolations(sources: Sources): string[] {
  const violations = [...sources].flatMap(([file, text]) =>
    importsOf(text).flatMap((specifier) => {
      const problem = specifier.startsWith('.')
        ? problemWithFile(file, join(dirname(file), specifier), sources)
        : problemWithPackage(file, specifier);
      return problem ? [`${file} imports ${specifier}: ${problem}.`] : [];
    }),
  );
  return [...violations, ...findCycles(sources).map((cycle) => `A cycle: ${cycle.join(' → ')}.`)];
}

function problemWithFile(from: string, to: string, sources: Sources): string | undefined {
  if (!sources.has(to)) return 'there is no such file';
  if (to === DOOR) return 'nobody inside uses the public door';
  if (roomOf(from) === roomOf(to)) return undefined;
  const [own, other] = [floorOf(from), floorOf(to)];
  if (own === undefined || other === undefined) return 'one of the two rooms has no floor';
  return other < own ? undefined : `floor ${other} is not below floor ${own}`;
}

function problemWithPackage(file: string, specifier: string): string | undefined {
  const home = HOMES[specifier];
  return home === undefined || home.test(file) ? undefined : `it belongs to ${home.source}`;
}

function roomOf(file: string): string {
  return file === DOOR ? 'door' : (/^src\/([^/]+)\//.exec(file)?.[1] ?? 'ground');
}

function floorOf(file: string): number | undefined {
  const room = roomOf(file);
  return room === 'door' ? 6 : room === 'ground' ? 0 : FLOORS[room];
}

function importsOf(text: string): string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  return [...code.matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

/** The files of each way that leads from a file back to it, found depth first. */
function findCycles(sources: Sources): string[][] {
  const [cycles, done]: [string[][], Set<string>] = [[], new Set()];
  const visit = (file: string, way: readonly string[]) => {
    const start = way.indexOf(file);
    if (start >= 0) cycles.push([...way.slice(start), file]);
    if (start >= 0 || done.has(file)) return;
    for (const specifier of importsOf(sources.get(file) ?? '')) {
      if (specifier.startsWith('.')) visit(join(dirname(file), specifier), [...way, file]);
    }
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  return cycles;
}
