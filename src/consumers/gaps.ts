import { type Gap, gapText } from '../log/gap.ts';
import type { Call } from './context.ts';
import { BEHIND, callOthers, HeldKeys, outcomeOfRest } from './held-keys.ts';
import { DONE, failureOf, type Outcome, type Outcomes, outcomesOf } from './outcome.ts';

/**
 * Calls onGap for each gap and the handler for the notifications between gaps, in order.
 * @param callPart calls the handler
 */
export async function callWithGaps(
  call: Call,
  callPart: (part: Call) => Outcomes | Promise<Outcomes>,
): Promise<Outcomes> {
  const { notifications, context } = call;
  const outcomes: Outcome[] = [];
  const held = new HeldKeys(call.consumer);
  for (let index = 0; index < notifications.length; index = outcomes.length) {
    const { overReason } = context;
    if (overReason) {
      const rest = outcomeOfRest(call, overReason);
      outcomes.push(...new Array<Outcome>(notifications.length - index).fill(rest));
      break;
    }
    const nextGap = notifications.findIndex(({ isGap }, at) => isGap && at >= index);
    const end = nextGap < 0 ? notifications.length : Math.max(index + 1, nextGap);
    const part = notifications.slice(index, end);
    const { gap = null } = part[0] ?? {};
    if (gap !== null) {
      outcomes.push(await callOnGap(call, gap));
      continue;
    }
    const entries = part.map((entry) => (held.has(entry.key) ? BEHIND : entry));
    const own = await callOthers({ ...call, notifications: part }, entries, callPart);
    for (const [place, outcome] of own.entries()) held.note(part[place]?.key ?? null, outcome);
    outcomes.push(...own);
  }
  return outcomes;
}

async function callOnGap({ consumer, context }: Call, gap: Gap): Promise<Outcome> {
  try {
    if (consumer.onGap) return outcomesOf(await consumer.onGap(gap, context), 1, false)[0] ?? DONE;
  } catch (thrown) {
    return failureOf(thrown);
  }
  context.reporter.warn(gapText(gap));
  return DONE;
}
