import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';

/** Source texts by path, like src/log/page.ts. */
export type Sources = ReadonlyMap<string, string>;

/** The floor of each room: a file imports only from lower floors and from its own room. */
const FLOORS: Record<string, number> = {
  cli: 6,
  testing: 6,
  admin: 5,
  service: 5,
  daemon: 4,
  inspect: 4,
  relay: 4,
  consumers: 3,
  capture: 3,
  embedded: 2,
  log: 2,
  adapters: 2,
  database: 1,
  config: 1,
};

/**
 * The floors within a room. A folder that is not listed is unrestricted; '' means the room's own
 * files.
 */
const INNER_FLOORS: Record<string, Record<string, number>> = {
  daemon: { '': 4, owned: 3, shared: 3, tail: 2, control: 1, calls: 0 },
  log: { retention: 3, 'by-hand': 3, leases: 2, deliveries: 1, positions: 0 },
};

/**
 * The rooms that may contain SQL. The demo in cli acts as an application and has some of its own.
 */
const SQL_ROOMS = /^src\/(database|log|capture|inspect|cli\/demo)\//;

/** Packages that only one place may import, so they can be replaced. */
const HOMES: Record<string, RegExp> = {
  chalk: /^src\/reporter\.ts$/,
  'string-width': /^src\/wrap\.ts$/,
  cosmiconfig: /^src\/config\/file\.ts$/,
  commander: /^src\/cli\//,
  '@commander-js/extra-typings': /^src\/cli\//,
  testcontainers: /^$/,
};

/** A statement at the beginning of a string. */
const STARTS = [
  /select\s|insert into\s|delete from\s|lock table\s|listen \$/,
  /update\s+\S+\s+(as \w+\s+)?set\s/,
  /with \w+ as \(/,
];
const SQL = new RegExp(`[\`']\\s*(${STARTS.map(({ source }) => source).join('|')})`);

const DOORS = ['src/index.ts', 'src/adapters.ts', 'src/testing.ts'];

/** All files below src. */
export function readSources(root: URL): Sources {
  const paths = readdirSync(new URL('src', root), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join('src', path.replaceAll('\\', '/')));
  return new Map(paths.map((path) => [path, readFileSync(new URL(path, root), 'utf8')]));
}

/** Violations of the floors, one sentence each. */
export function findViolations(sources: Sources): string[] {
  const violations = [...sources].flatMap(([file, text]) =>
    importsOf(text).flatMap((specifier) => {
      const problem = specifier.startsWith('.')
        ? problemWithFile(file, join(dirname(file), specifier), sources)
        : problemWithPackage(file, specifier);
      return problem ? [`${file} imports ${specifier}: ${problem}.`] : [];
    }),
  );
  const sql = [...sources]
    .filter(([file, text]) => !SQL_ROOMS.test(file) && SQL.test(codeOf(text)))
    .map(([file]) => `${file} holds SQL, which belongs in ${SQL_ROOMS.source}.`);
  return [
    ...violations,
    ...sql,
    ...findCycles(sources).map((cycle) => `A cycle: ${cycle.join(' → ')}.`),
  ];
}

function problemWithFile(from: string, to: string, sources: Sources): string | undefined {
  if (!sources.has(to)) return 'there is no such file';
  if (DOORS.includes(to)) return 'files inside must not use a public door';
  if (roomOf(from) === roomOf(to)) return problemWithin(from, to);
  const [own, other] = [floorOf(from), floorOf(to)];
  if (own === undefined || other === undefined) return 'one of the two rooms has no floor';
  return other < own ? undefined : `floor ${other} is not below floor ${own}`;
}

function problemWithin(from: string, to: string): string | undefined {
  const floors = INNER_FLOORS[roomOf(from)];
  const [own, other] = [folderOf(from), folderOf(to)];
  const [ownFloor, otherFloor] = [floors?.[own], floors?.[other]];
  if (own === other || ownFloor === undefined || otherFloor === undefined) return undefined;
  return otherFloor < ownFloor
    ? undefined
    : `${other || 'the room'} is not below ${own || 'the room'}`;
}

function problemWithPackage(file: string, specifier: string): string | undefined {
  const home = HOMES[specifier];
  return home === undefined || home.test(file) ? undefined : `it belongs to ${home.source}`;
}

function roomOf(file: string): string {
  return DOORS.includes(file) ? 'door' : (/^src\/([^/]+)\//.exec(file)?.[1] ?? 'ground');
}

/** The folder within its room; '' for a file in the room itself. */
function folderOf(file: string): string {
  return /^src\/[^/]+\/([^/]+)\//.exec(file)?.[1] ?? '';
}

function floorOf(file: string): number | undefined {
  const room = roomOf(file);
  return room === 'door' ? 7 : room === 'ground' ? 0 : FLOORS[room];
}

function importsOf(text: string): string[] {
  return [...codeOf(text).matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  );
}

/** The text without its comments. */
function codeOf(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}

/** The files of each import cycle, found depth first. */
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
