// Makes elements. A text becomes text, never HTML, whoever wrote it.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. A function among the attributes listens to the event it is named after; false, null and undefined leave one out. */
export function make(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** An SVG element, likewise. */
export function draw(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

/** Gives `parent` these children instead of those it has. */
export function fill(parent, ...children) {
  parent.replaceChildren(...present(children));
}

export function find(id) {
  return document.getElementById(id);
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...present(children));
  return element;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== false && child != null);
}
