// The page's own address: what was chosen stands behind #, which no browser sends anywhere.

/** @returns {Map<string, string>} */
export function readAddress() {
  return new Map(new URLSearchParams(location.hash.slice(1)));
}

/** Says it in the address bar, without a step in the history. */
export function writeAddress(chosen) {
  history.replaceState(null, "", linkTo(chosen));
}

/** A link to this page with these choices; those that are null are left out. */
export function linkTo(chosen) {
  const query = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value != null));
  const link = new URL(location.href);
  link.hash = query.toString();
  return link.href;
}
