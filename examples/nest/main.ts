import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { database } from './database.ts';
import { OrderList } from './order-list.ts';
import { OrdersController } from './orders.controller.ts';
import { PgwatchService } from './pgwatch.service.ts';

@Module({
  controllers: [OrdersController],
  providers: [database, PgwatchService, OrderList],
})
class AppModule {}

const app = await NestFactory.create(AppModule);
app.enableShutdownHooks(['SIGTERM'], { useProcessExit: true });
await app.listen(process.env.PORT ?? 3000);
