// What a file of texts is, by its name and its beginning: the format, the columns, the first texts.

import { CsvParser, guessDelimiter } from "./csv.js";

export const FORMATS = [
  ["csv", "CSV"],
  ["jsonl", "JSON lines"],
  ["parquet", "Parquet"],
  ["lines", "a text a line"],
];

const ENDINGS = { csv: "csv", tsv: "csv", jsonl: "jsonl", ndjson: "jsonl", parquet: "parquet", txt: "lines" };
const BEGINNING = 65_536; // bytes
const FEW = 3;

/** By the file's ending; by its first bytes where that tells nothing. */
export async function guessFormat(file) {
  const ending = file.name.toLowerCase().split(".").pop();
  if (ENDINGS[ending]) return ENDINGS[ending];
  const start = await file.slice(0, 64).text();
  if (start.startsWith("PAR1")) return "parquet";
  return start.trimStart().startsWith("{") ? "jsonl" : "lines";
}

/** `columns`: null where they cannot be seen from here. `preview(column)`: its first texts. */
export async function peek(file, format) {
  if (format === "parquet") return { columns: null, preview: () => [] };
  const beginning = (await file.slice(0, BEGINNING).text()).replace(/^\ufeff/, "");
  const whole = file.size <= BEGINNING;
  if (format === "csv") return peekCsv(beginning);
  const lines = beginning.split("\n").slice(0, whole ? undefined : -1).filter((line) => line.trim());
  if (format === "lines") return { columns: [], preview: () => lines.slice(0, FEW) };
  return peekJson(lines);
}

/** The one that most likely has the texts. */
export function guessColumn(columns) {
  return columns.find((name) => name.toLowerCase() === "text") ?? columns.find((name) => /text|body|review|content|message|comment/i.test(name)) ?? columns[0];
}

function peekCsv(beginning) {
  const parser = new CsvParser(guessDelimiter(beginning.split("\n", 1)[0]));
  const found = parser.feed(beginning);
  const [header, ...rows] = found.length ? found : parser.end();
  const columns = header ?? [];
  return { columns, preview: (column) => rows.slice(0, FEW).map((row) => row[columns.indexOf(column)] ?? "") };
}

function peekJson(lines) {
  const objects = lines.slice(0, 50).flatMap((line) => {
    try {
      const value = JSON.parse(line);
      return value && typeof value === "object" ? [value] : [];
    } catch {
      return [];
    }
  });
  const columns = [...new Set(objects.flatMap((object) => Object.keys(object).filter((name) => typeof object[name] === "string")))];
  return { columns, preview: (column) => objects.slice(0, FEW).map((object) => String(object[column] ?? "")) };
}
