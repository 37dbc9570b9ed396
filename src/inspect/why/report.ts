import type { Answer, Reason } from './decide.ts';
import type { Explanation } from './explain.ts';
import { absenceAdvice, absenceText } from './presence-text.ts';
import { describeReason } from './reason-text.ts';

type ReasonReport = Reason & { message: string; advice: string | null };

/** What has become of a notification at a consumer, for programs. */
export type AnswerReport = Omit<Answer, 'reasons'> & { reasons: ReasonReport[] };

export function answerReport(answer: Answer, id: number): AnswerReport {
  const reasons = answer.reasons.map((reason) => {
    const { sentence, advice } = describeReason(reason, id, answer.consumerId);
    return { ...reason, message: sentence, advice };
  });
  return { ...answer, reasons };
}

/** Whether a notification is in the log, and what has become of it at each consumer. */
export type WhyReport = ReturnType<typeof whyReport>;

export function whyReport(id: number, { presence, restored, answers }: Explanation) {
  const { code, ...found } = presence;
  return {
    id,
    presence: code,
    ...('entry' in found ? found.entry : found),
    ...(presence.code === 'present'
      ? {}
      : { message: absenceText(presence), advice: absenceAdvice(presence) }),
    restored,
    consumers: answers.map((answer) => answerReport(answer, id)),
  };
}
