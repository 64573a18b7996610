// What a file of texts is, by its name and its beginning: the format, the columns, the first texts.

import { CsvParser, guessDelimiter } from "./csv.js";

export const FORMATS = [
  ["csv", "CSV"],
  ["jsonl", "JSON lines"],
  ["parquet", "Parquet"],
  ["lines", "a text a line"],
];

const ENDINGS = { csv: "csv", tsv: "csv", jsonl: "jsonl", ndjson: "jsonl", parquet: "parquet", txt: "lines" };
const UNREADABLE = [
  [[0x1f, 0x8b], "is compressed (gzip). Unpack it first."],
  [[0x50, 0x4b, 3, 4], "is a zip archive, as Excel's files are. Unpack it, or save the table as CSV UTF-8."],
  [[0xff, 0xfe], "is in UTF-16. Save it as UTF-8."],
  [[0xfe, 0xff], "is in UTF-16. Save it as UTF-8."],
];
const BEGINNING = 65_536; // bytes
const FEW = 3;

/** Why the service could not read a file, by its first bytes; null if nothing speaks against it. */
export async function findObstacle(file) {
  const start = [...new Uint8Array(await file.slice(0, 4).arrayBuffer())];
  return UNREADABLE.find(([bytes]) => bytes.every((byte, place) => start[place] === byte))?.[1] ?? null;
}

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
  if (columns.some((name) => name.includes("\0"))) return { columns: null, preview: () => [] }; // no table: what it is, the service says
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
