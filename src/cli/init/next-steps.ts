import { dependsOn, type Project } from './project.ts';

/** The commands to run next, in order, each with its purpose. */
export function nextSteps(project: Project): string[] {
  const { add, exec, run } = COMMANDS[project.manager];
  const steps = [
    ...(dependsOn(project.package, 'pgwatch') ? [] : [[`${add} pgwatch`, 'install it']]),
    ...databaseSteps(project),
    [`${exec} pgwatch migrate`, 'create its tables'],
    [`${exec} pgwatch notify hello '{"name": "world"}'`, 'publish a notification'],
    [`${run} pgwatch`, 'run the consumers'],
  ] as [string, string][];
  const width = Math.max(...steps.map(([command]) => command.length));
  return steps.map(([command, what]) => `$ ${command.padEnd(width)}  # ${what}`);
}

function databaseSteps({ databaseUrl }: Project): string[][] {
  if (databaseUrl === 'environment') return [];
  // pgwatch does not read .env: secrets stay where they are.
  if (databaseUrl === '.env') return [['set -a; . ./.env; set +a', 'DATABASE_URL from .env']];
  return [['export DATABASE_URL=postgres://…', 'your database']];
}

const COMMANDS: Record<Project['manager'], { add: string; exec: string; run: string }> = {
  npm: { add: 'npm install', exec: 'npx', run: 'npm run' },
  pnpm: { add: 'pnpm add', exec: 'pnpm exec', run: 'pnpm run' },
  yarn: { add: 'yarn add', exec: 'yarn', run: 'yarn run' },
  bun: { add: 'bun add', exec: 'bunx', run: 'bun run' },
};
