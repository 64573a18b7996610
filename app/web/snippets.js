// A request as something to run elsewhere: a curl command for a POSIX shell, and a Python program.

const LONGEST_ARGUMENT = 100_000; // bytes: Linux takes no argument over 131,072
const HIDDEN = /[[\p{C}\p{Z}]--[ ]]/gv;

/** `keyed`: the service asks for a key, which stands in a variable and never in what is shown. */
export function toCurl(url, request, keyed) {
  const body = toJson(request);
  const head = [`curl -s ${quote(url)}`, "  -H 'Content-Type: application/json'"];
  if (keyed) head.push('  -H "X-API-Key: $SENTOPIC_KEY"');
  if (new TextEncoder().encode(body).length <= LONGEST_ARGUMENT) return [...head, `  -d ${quote(body)}`].join(" \\\n");
  return `${[...head, "  --data-binary @-"].join(" \\\n")} <<'END'\n${body}\nEND`; // JSON has no line that says END
}

export function toPython(url, request, keyed) {
  const headers = { "Content-Type": "application/json" };
  const shown = [`${literal("Content-Type")}: ${literal(headers["Content-Type"])}`];
  if (keyed) shown.push('"X-API-Key": os.environ["SENTOPIC_KEY"]');
  return [
    "import json",
    keyed && "import os",
    "import urllib.request",
    "",
    `request = ${dictionary(request)}`,
    "call = urllib.request.Request(",
    `    ${literal(url)},`,
    "    json.dumps(request).encode(),",
    `    {${shown.join(", ")}},`,
    ")",
    "with urllib.request.urlopen(call) as response:",
    "    print(json.dumps(json.load(response), indent=2))",
  ]
    .filter((row) => row !== false)
    .join("\n");
}

/** For a POSIX shell: nothing in it means anything to it. */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** What cannot be seen, or turns the direction of writing, is written as an escape: what is read is what is run. */
function toJson(request) {
  return JSON.stringify(request).replace(HIDDEN, (found) => {
    return [...Array(found.length).keys()].map((unit) => `\\u${found.charCodeAt(unit).toString(16).padStart(4, "0")}`).join("");
  });
}

function dictionary(request) {
  const entries = Object.entries(request).map(([name, value]) => `    ${literal(name)}: ${literal(value)},`);
  return `{\n${entries.join("\n")}\n}`;
}

/** As Python writes it. */
function literal(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "string") return JSON.stringify(value);
  return JSON.stringify(value).replace(HIDDEN, (found) => `\\U${found.codePointAt(0).toString(16).padStart(8, "0")}`);
}
