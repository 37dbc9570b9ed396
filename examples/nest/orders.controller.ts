import { Body, Controller, Get, Inject, Post, ServiceUnavailableException } from '@nestjs/common';
import { fromTypeorm } from 'pgwatch/adapters';
import { DataSource } from 'typeorm';
import { type Order, Orders } from './database.ts';
import { OrderList } from './order-list.ts';
import { PgwatchService } from './pgwatch.service.ts';

@Controller()
export class OrdersController {
  @Inject(DataSource) private readonly dataSource!: DataSource;
  @Inject(OrderList) private readonly list!: OrderList;
  @Inject(PgwatchService) private readonly service!: PgwatchService;

  @Get('orders')
  newest(): Promise<Order[]> {
    return this.list.newest();
  }

  @Post('orders')
  place(@Body() { item }: { item: string }): Promise<Order> {
    return this.dataSource.transaction(async (manager) => {
      const order = await manager.save(Orders, { item });
      await this.service.pgwatch.notify('orders.created', order, { client: fromTypeorm(manager) });
      return order;
    });
  }

  @Get('health')
  async health() {
    const { consumers } = await this.service.pgwatch.status(['confirmation', 'invoice']);
    const isHealthy = consumers.every(({ isRun }) => isRun);
    if (!isHealthy) throw new ServiceUnavailableException();
    return { isHealthy };
  }
}
