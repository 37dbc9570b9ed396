import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCli } from './cli.ts';
import { linkPackages, makeProject } from './project.ts';

/**
 * Compiles these files in strict mode, in a project that uses pgwatch. Returns the compiler's
 * messages, '' if there are none.
 * @param pgwatch 'types': only the types of a change; 'built': all of pgwatch, built before, and pg
 * @param packages others that the files import
 */
export async function compile(
  files: Record<string, string>,
  pgwatch: 'types' | 'built' = 'types',
  packages: readonly string[] = [],
): Promise<string> {
  const compilerOptions = { ...STRICT, typeRoots: [join(ROOT, 'node_modules/@types')] };
  const folder = makeProject({
    ...files,
    'tsconfig.json': JSON.stringify({ compilerOptions }),
    ...(pgwatch === 'types' && {
      'node_modules/pgwatch/package.json': '{ "type": "module", "types": "index.d.ts" }',
      'node_modules/pgwatch/index.d.ts': readFileSync(join(ROOT, 'src/log/change.ts'), 'utf8'),
    }),
  });
  if (pgwatch === 'built') linkPackages(folder, ['pg', '@types', ...packages]);
  const command = [join(ROOT, 'node_modules/.bin/tsc'), '-p'] as const;
  const { stdout, stderr } = await runCli([folder], { command });
  return stdout + stderr;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const STRICT = {
  strict: true,
  target: 'es2024',
  module: 'nodenext',
  noEmit: true,
  types: ['node'],
  allowImportingTsExtensions: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noUnusedLocals: true,
  erasableSyntaxOnly: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  skipLibCheck: false,
};
