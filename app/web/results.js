// A job's result as JSON lines, read only as far as it takes to find the rows that failed.

const ERROR = /^(sentopic_)*error$/; // it is the last of the service's fields, which stand behind the file's own

/** At most `most` rows that failed: their numbers, from 1, and why. */
export async function findErrors(response, most) {
  const found = [];
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let number = 0; found.length < most; ) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop();
    if (done && rest) lines.push(rest);
    for (const line of lines) {
      number += 1;
      const error = readError(line);
      if (error && found.length < most) found.push({ number, error });
    }
    if (done) return found;
  }
  await reader.cancel();
  return found;
}

function readError(line) {
  try {
    return Object.entries(JSON.parse(line)).findLast(([name]) => ERROR.test(name))?.[1];
  } catch {
    return null; // a number or a depth that a browser cannot read
  }
}
