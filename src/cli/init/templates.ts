import type { Project } from './project.ts';

/** The text of a config file. */
export function configText({ consumersFolder }: Pick<Project, 'consumersFolder'>): string {
  return `import { defineConfig } from 'pgwatch';

// Nothing here is required. The database is the one in DATABASE_URL. Command-line options and
// PGWATCH_ variables override this file.
export default defineConfig({
  // The folder of the consumer files, including subfolders.
  consumers: '${consumersFolder}',
});
`;
}

/** The text of a first consumer. */
export function consumerText({ extension }: Pick<Project, 'extension'>): string {
  const type = extension.endsWith('ts') ? '<{ name?: string }>' : '';
  return `import { defineConsumer } from 'pgwatch';

// Returning means success. If it throws, the notification is delivered again later.
export default defineConsumer${type}({
  id: 'hello',
  channels: ['hello'],
  async handle(notification, context) {
    context.reporter.info(\`Hello, \${notification.payload.name ?? 'you'}!\`);
  },
});
`;
}
