// What a bundle's metrics.json and bundle.json say, as far as they do: they come with a bundle, so nothing in them is taken for granted.

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const isShare = (value) => isNumber(value) && value >= 0 && value <= 1;
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Every part is null where the file does not have it, or not as it should be. */
export function readFigures(raw, labels) {
  const found = isObject(raw) ? raw : {};
  return {
    history: rows(found.history, ["epoch", "loss"]),
    confusion: matrix(found.confusion, labels.length),
    perLabel: perLabel(found.per_label, labels),
    heldOutBins: rows(found.reliability?.held_out, ["confidence", "accuracy", "low", "high"], isShare),
    testBins: rows(found.reliability?.test, ["confidence", "accuracy", "low", "high"], isShare),
    targets: targets(found.targets),
    rivals: rows(found.rivals, ["accuracy", "low", "high"], isShare)?.filter(({ name }) => typeof name === "string") ?? [],
  };
}

/** A number that stands at `path` in an object; null if none does. */
export function number(object, ...path) {
  let value = object;
  for (const name of path) value = isObject(value) ? value[name] : null;
  return isNumber(value) ? value : null;
}

/** A text that stands at `path` in an object; null if none does. */
export function text(object, ...path) {
  let value = object;
  for (const name of path) value = isObject(value) ? value[name] : null;
  return typeof value === "string" ? value : null;
}

function rows(list, names, check = isNumber) {
  if (!Array.isArray(list) || !list.length) return null;
  return list.every((row) => isObject(row) && names.every((name) => check(row[name]))) ? list : null;
}

function matrix(found, size) {
  const whole = (value) => Number.isInteger(value) && value >= 0;
  const square = Array.isArray(found) && found.length === size && found.every((row) => Array.isArray(row) && row.length === size && row.every(whole));
  return square ? found : null;
}

function perLabel(found, labels) {
  const names = ["support", "precision", "recall", "f1"];
  const complete = isObject(found) && labels.every(({ name }) => isObject(found[name]) && names.every((part) => isNumber(found[name][part])));
  return complete ? found : null;
}

/** Thresholds with what comes of them on the test texts: the least sure first. */
function targets(found) {
  const fit = ({ threshold, test }) => isShare(threshold) && isShare(test?.answered) && isShare(test?.answered_accuracy);
  if (!Array.isArray(found) || !found.length || !found.every((row) => isObject(row) && fit(row))) return null;
  return found.toSorted((one, other) => one.threshold - other.threshold);
}
