// Builds elements without markup strings, so that nothing a platform sends can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on` holds listeners, `data` data-attributes; `false`, `null` and `undefined` values are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === false || value === null || value === undefined) return;
  if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  else if (name === "data") Object.assign(element.dataset, value);
  else if (name === "value" || name === "checked") element[name] = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/** Replace everything inside an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A push button; `label` is read aloud when the button shows only an icon. */
export function button(content, onPress, { kind = "", label = "", disabled = false, ...rest } = {}) {
  const attributes = { type: "button", class: `button ${kind}`.trim(), "aria-label": label || null, disabled, ...rest };
  if (label) attributes.title = label;
  return h("button", { ...attributes, on: { click: onPress } }, content);
}

/** Keep calls together: the last call within `ms` milliseconds runs. */
export function settled(run, ms) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...values), ms);
  };
}
