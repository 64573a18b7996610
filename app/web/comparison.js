// Two models' answers to one text, side by side: whether they agree, in words.

import { percent } from "./numbers.js";
import { title } from "./service.js";

/** `answers`: two of them. */
export function compareAnswers(answers, nameOf) {
  const [one, two] = answers;
  const told = answers.map((answer) => `${title(answer.model)} ${percent(answer.confidence)}${answer.uncertain ? ", uncertain" : ""}`);
  if (one.label === two.label) {
    const both = one.uncertain && two.uncertain ? "Both lean towards" : "Both say";
    return `${both} ${nameOf(one.label)} (${told.join("; ")}).`;
  }
  const doubt = one.uncertain && two.uncertain ? " Neither is sure." : one.uncertain || two.uncertain ? " Only one of them is sure." : " Both are sure of it.";
  return `They disagree: ${answers.map((answer, place) => `${nameOf(answer.label)} (${told[place]})`).join(", ")}.${doubt}`;
}
