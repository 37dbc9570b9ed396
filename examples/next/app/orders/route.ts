import { fromPrisma } from 'pgwatch/adapters';
import { pgwatch, prisma } from '../../database.ts';
import { newestOrders } from '../../order-list.ts';

export async function GET() {
  return Response.json(await newestOrders());
}

export async function POST(request: Request) {
  const { item } = await request.json();
  const order = await prisma.$transaction(async (tx) => {
    const order = await tx.order.create({ data: { item } });
    await pgwatch.notify('orders.created', order, { client: fromPrisma(tx) });
    return order;
  });
  return Response.json(order, { status: 201 });
}
