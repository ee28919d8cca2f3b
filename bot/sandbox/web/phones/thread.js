// The lines of a chat, oldest first, with a time wherever the talk paused.

import { h } from "../dom.js";
import { momentOf } from "../i18n.js";
import { renderLine } from "./lines.js";

const PAUSE_S = 300;
const NEAR_BOTTOM_PX = 90;

/** A chat. `press(line, button)` is called for whatever can be pressed on a line. */
export function createThread({ label, press, nameOf, empty = null }) {
  const element = h("div", { class: "thread", role: "log", "aria-label": label, "aria-live": "polite", tabindex: "0" });
  const drawn = new Map();

  function node(key, rev, build) {
    const known = drawn.get(key);
    if (known && known.rev === rev) return known.node;
    const fresh = { rev, node: build() };
    drawn.set(key, fresh);
    return fresh.node;
  }

  function nodes(lines) {
    const wanted = [];
    let last = 0;
    for (const line of lines) {
      if (line.at - last > PAUSE_S) wanted.push(node(`time ${line.id}`, 0, () => h("p", { class: "line-time" }, momentOf(line.at))));
      last = line.at;
      wanted.push(node(line.id, line.rev, () => renderLine(line, { press, nameOf })));
    }
    return wanted.length || !empty ? wanted : [empty];
  }

  function show(lines) {
    const stay = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_BOTTOM_PX;
    const wanted = nodes(lines);
    wanted.forEach((child, index) => {
      const present = element.childNodes[index];
      if (present !== child) element.insertBefore(child, present ?? null);
    });
    while (element.childNodes.length > wanted.length) element.lastChild.remove();
    if (stay || !wanted.length) element.scrollTop = element.scrollHeight;
  }

  return { element, show, toBottom: () => (element.scrollTop = element.scrollHeight) };
}
