// A model's card, from Markdown to elements. It comes with the bundle: of links the text stays, of pictures nothing.

import { make } from "./elements.js";

const MOST_LINES = 2_000;

/** The few forms that cards have: headings, tables, lists, paragraphs; bold, code, links within them. */
export function showCard(markdown) {
  const lines = markdown.replaceAll("\r", "").split("\n", MOST_LINES);
  const shown = [];
  for (let place = 0; place < lines.length; ) {
    const block = take(lines, place);
    place = block.end;
    if (block.node) shown.push(block.node);
  }
  return shown;
}

function take(lines, start) {
  const first = lines[start];
  const heading = /^(#{1,5}) (.+)$/.exec(first);
  if (heading) return { end: start + 1, node: make(`h${Math.min(6, heading[1].length + 2)}`, {}, inline(heading[2])) };
  if (first.startsWith("|")) return run(lines, start, (row) => row.startsWith("|"), table);
  if (/^[-*] /.test(first)) return run(lines, start, (row) => /^([-*] | +\S)/.test(row), list);
  if (!first.trim() || /^!\[[^\]]*\]\([^)]*\)$/.test(first)) return { end: start + 1, node: null };
  return run(lines, start, (row) => row.trim() && !/^(#|\||[-*] |!\[)/.test(row), (rows) => make("p", {}, inline(rows.join(" "))));
}

/** The lines from `start` on that belong together, as one element. */
function run(lines, start, belongs, build) {
  let end = start + 1;
  while (end < lines.length && belongs(lines[end])) end += 1;
  return { end, node: build(lines.slice(start, end)) };
}

function table(rows) {
  const cells = rows.filter((row) => !/^\|[\s:|-]+\|$/.test(row)).map((row) => row.replace(/^\||\|\s*$/g, "").split(/(?<!\\)\|/).map((cell) => inline(cell.trim().replaceAll("\\|", "|"))));
  const [head, ...body] = cells;
  return make(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": "A table of the card" },
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, head.map((cell) => make("th", { scope: "col" }, cell)))),
      make("tbody", {}, body.map((row) => make("tr", {}, row.map((cell) => make("td", {}, cell))))),
    ),
  );
}

function list(rows) {
  const entries = rows.join("\n").split(/\n(?=[-*] )/).map((entry) => entry.slice(2).replace(/\n\s*/g, " "));
  return make("ul", {}, entries.map((entry) => make("li", {}, inline(entry))));
}

function inline(source) {
  const parts = source.split(/(`[^`]{1,300}`|\*\*[^*]{1,300}\*\*|\*[^*\s][^*]{0,300}\*|!?\[[^[\]]{0,300}\]\([^()]{0,300}\))/);
  return parts.map((part, place) => {
    if (place % 2 === 0) return part;
    if (part.startsWith("`")) return make("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return make("strong", {}, part.slice(2, -2));
    if (part.startsWith("*")) return make("em", {}, part.slice(1, -1));
    return part.startsWith("!") ? "" : part.slice(1, part.indexOf("]"));
  });
}
