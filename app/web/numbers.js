// Numbers as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(number) {
  return whole.format(number);
}

/** "1 word", "2 words". */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A share in per cent. None but all of it is 100%, and none but nothing 0%. */
export function percent(share, digits = 1) {
  const value = share * 100;
  const least = 10 ** -digits;
  if (share > 0 && value < least / 2) return `<${least}%`;
  if (share < 1 && value >= 100 - least / 2) return `>${(100 - least).toFixed(digits)}%`;
  return `${value.toFixed(digits)}%`;
}

/** With its sign, and a real minus. */
export function signed(number, digits = 2) {
  const size = Math.abs(number).toFixed(digits);
  return Number(size) === 0 ? size : `${number < 0 ? "−" : "+"}${size}`;
}

export function size(bytes) {
  if (bytes < 1000) return counted(bytes, "byte");
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

/** "about 2 minutes": no more exactly than it can be known. */
export function duration(seconds) {
  if (seconds < 1) return "less than a second";
  if (seconds < 60) return `about ${counted(Math.round(seconds), "second")}`;
  if (seconds < 5400) return `about ${counted(Math.round(seconds / 60), "minute")}`;
  return `about ${counted(Math.round(seconds / 3600), "hour")}`;
}
