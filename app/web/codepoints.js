// Places in a text. The service counts Unicode code points; JavaScript counts UTF-16 units, two for an emoji.

const PAIR = /[\ud800-\udbff][\udc00-\udfff]/;

export function countPoints(text) {
  let points = text.length;
  if (PAIR.test(text)) points -= text.match(new RegExp(PAIR, "g")).length;
  return points;
}

/** A function: the place of a code point in, its place in units out. */
export function unitPlaces(text) {
  if (!PAIR.test(text)) return (point) => point;
  const places = new Uint32Array(text.length + 1);
  let point = 0;
  for (let unit = 0; unit < text.length; point += 1) {
    places[point] = unit;
    unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  }
  places[point] = text.length;
  return (wanted) => places[Math.min(wanted, point)];
}

/** The text as it can be sent: half an emoji, which is no character, becomes the mark for one that was lost. */
export function sendable(text) {
  return text.toWellFormed?.() ?? text;
}
