import type { Answer, Reason } from './decide.ts';
import { describeReason } from './reason-text.ts';

type ReasonJson = Reason & { message: string; advice: string | null };

/** What has become of a notification at a consumer, as "why" and "show" print it as JSON. */
export type AnswerJson = Omit<Answer, 'reasons'> & { reasons: ReasonJson[] };

export function answerJson(answer: Answer, id: number): AnswerJson {
  const reasons = answer.reasons.map((reason) => {
    const { sentence, advice } = describeReason(reason, id, answer.consumerId);
    return { ...reason, message: sentence, advice };
  });
  return { ...answer, reasons };
}
