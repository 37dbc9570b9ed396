import { pgwatch } from '../../database.ts';

export async function GET() {
  const { consumers } = await pgwatch.status(['confirmation', 'invoice']);
  const isHealthy = consumers.every(({ isRun }) => isRun);
  return Response.json({ isHealthy }, { status: isHealthy ? 200 : 503 });
}
