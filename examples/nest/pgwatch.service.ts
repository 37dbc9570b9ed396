import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { createPgwatch } from 'pgwatch';
import { confirmation, invoice } from './consumers.ts';

@Injectable()
export class PgwatchService implements OnModuleInit, OnApplicationShutdown {
  readonly pgwatch = createPgwatch();

  async onModuleInit() {
    const listening = await this.pgwatch.listen([confirmation, invoice]);
    // Waiting would not help, as without pgwatch's tables. The reporter has said why.
    listening.done.catch(() => process.exit(1));
    await listening.ready();
  }

  /** Runs once no more requests are taken. */
  async onApplicationShutdown() {
    await this.pgwatch.close();
  }
}
