// A job's result, read only as far as it takes to find the rows that failed.

import { CsvParser } from "./csv.js";

const TOLD = /(?:sentopic_)*label([,;\t|])(?:sentopic_)*confidence\1(?:sentopic_)*uncertain\1(?:sentopic_)*warnings\1(?:sentopic_)*error\r?\n/;

/** At most `most` rows that failed: their numbers, from 1, and why. Null for a format that cannot be read here. */
export async function findErrors(response, format, most) {
  const reading = { csv: csvErrors, jsonl: jsonErrors, lines: lineErrors }[format];
  if (!reading) return null;
  const found = [];
  const take = reading();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let number = 0; found.length < most; ) {
    const { value, done } = await reader.read();
    for (const error of take(done ? null : value)) {
      number += 1;
      if (error && found.length < most) found.push({ number, error });
    }
    if (done) return found;
  }
  await reader.cancel();
  return found;
}

/** Each of these makes a function: a piece in (null at the end), a row's error or nothing for each row that ended in it, out. */
function csvErrors() {
  let parser = null;
  let head = "";
  return (piece) => {
    if (parser) return (piece === null ? parser.end() : parser.feed(piece)).map((row) => row.at(-1));
    head += piece ?? "";
    const delimiter = TOLD.exec(head)?.[1];
    if (!delimiter) return [];
    parser = new CsvParser(delimiter);
    return parser.feed(head).slice(1).map((row) => row.at(-1));
  };
}

function jsonErrors() {
  return byLine((line) => {
    try {
      return Object.entries(JSON.parse(line)).findLast(([name]) => /^(sentopic_)*error$/.test(name))?.[1];
    } catch {
      return null;
    }
  });
}

function lineErrors() {
  return byLine((line) => /(?:^|,)error: (.*)$/.exec(line.split("\t")[2] ?? "")?.[1]);
}

function byLine(read) {
  let rest = "";
  return (piece) => {
    const lines = (rest + (piece ?? "")).split("\n");
    rest = lines.pop();
    if (piece === null && rest) lines.push(rest);
    return lines.map(read);
  };
}
