import type {
  NewNotificationOn,
  NotificationFrom,
  ReadChannel,
} from '../consumers/channel-types.ts';
import type { AnyChannels, SchemasOf } from '../consumers/channels.ts';
import type { ConsumerDefinition } from '../consumers/define.ts';
import type { PgwatchOn } from '../service/pgwatch-on.ts';
import type { Drained, ReceivedBy } from './drained.ts';

/** The methods of a TestPgwatch that know channels and the payloads on them. */
export type OnChannels<Given extends AnyChannels> = {
  readonly pgwatch: PgwatchOn<Given>;
  /** @throws PgwatchError as TestPgwatch.drain; payload_invalid if a payload does not match */
  drain<Definition extends ConsumerDefinition>(
    consumer: Definition,
    notifications?: readonly NewNotificationOn<SchemasOf<Given>>[],
  ): Promise<Drained<ReceivedBy<Definition>>>;
  /** The payloads are as they were published. What SQL has published may be of other types. */
  published<const Read extends ReadChannel<SchemasOf<Given>> = '*'>(
    channel?: Read,
  ): Promise<NotificationFrom<SchemasOf<Given>, Read, 'input'>[]>;
};
