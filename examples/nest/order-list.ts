import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type Order, Orders } from './database.ts';
import { PgwatchService } from './pgwatch.service.ts';

/** The newest orders, from memory until any process changes one. */
@Injectable()
export class OrderList implements OnModuleInit {
  @Inject(DataSource) private readonly dataSource!: DataSource;
  @Inject(PgwatchService) private readonly service!: PgwatchService;
  private cached: Promise<Order[]> | undefined;

  newest(): Promise<Order[]> {
    this.cached ??= this.dataSource.manager.find(Orders, { order: { id: 'desc' }, take: 100 });
    this.cached.catch(this.forget);
    return this.cached;
  }

  /** Resolves once no change can be missed. Every process follows the channels by itself. */
  async onModuleInit(): Promise<void> {
    const { pgwatch } = this.service;
    const { forget } = this;
    const changes = pgwatch.subscribe({ channels: ['orders.*'], every: 'process', onGap: forget });
    await changes.ready();
    (async () => {
      for await (const _ of changes) forget();
    })();
  }

  private readonly forget = () => {
    this.cached = undefined;
  };
}
