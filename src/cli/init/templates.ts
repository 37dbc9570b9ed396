import type { Project } from './project.ts';

/** The text of a config file. */
export function configText({ consumersFolder }: Pick<Project, 'consumersFolder'>): string {
  return `import { defineConfig } from 'pgwatch';

// Nothing here is required. Where the database is says DATABASE_URL; flags and PGWATCH_ variables
// beat this file.
export default defineConfig({
  // Where the consumer files lie, sub-folders included.
  consumers: '${consumersFolder}',
});
`;
}

/** The text of a first consumer. */
export function consumerText({ extension }: Pick<Project, 'extension'>): string {
  const type = extension.endsWith('ts') ? '<{ name?: string }>' : '';
  return `import { defineConsumer } from 'pgwatch';

// Returning is success; throwing hands the notification to it again, later.
export default defineConsumer${type}({
  id: 'hello',
  channels: ['hello'],
  async handle(notification, context) {
    context.reporter.info(\`Hello, \${notification.payload.name ?? 'you'}!\`);
  },
});
`;
}
