// The wire panel: what went between the platforms and the product, quotas, faults and the clock.

import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { tool } from "../phones/frame.js";
import { createLab } from "./lab.js";
import { createQuotas } from "./quotas.js";
import { createTraffic } from "./traffic.js";

const REMEMBERED = "xiaohui.sandbox.panel.height";
const HEIGHT = { least: 44, first: 232, step: 40 };

/** The panel, with a handle that changes its height where it lies below the phones. */
export function createPanel(store, sessions) {
  const parts = { wire: createTraffic(store), quotas: createQuotas(store), lab: createLab(store, sessions) };
  const body = h("div", { class: "panel-body", id: "panel-body", role: "tabpanel", tabindex: "-1" });
  const faults = h("span", { class: "badge" });
  const tabs = Object.keys(parts).map((key) =>
    h("button", { type: "button", role: "tab", "aria-controls": "panel-body", data: { part: key }, on: { click: () => choose(key) } }, t(`panel.${key}`), key === "lab" && faults));
  const element = h("aside", { class: "panel", id: "panel", tabindex: "-1", "aria-label": t("panel.title") });
  const handle = createHandle(element);
  const shut = tool("down", t("panel.collapse"), () => handle.to(element.classList.contains("is-shut") ? HEIGHT.first : HEIGHT.least));
  shut.classList.add("panel-shut");

  function choose(key) {
    for (const tab of tabs) tab.setAttribute("aria-selected", String(tab.dataset.part === key));
    fill(body, parts[key].element);
    body.scrollTop = 0;
    parts.wire.tools.hidden = key !== "wire";
    if (element.classList.contains("is-shut")) handle.to(HEIGHT.first);
  }

  element.append(handle.element, h("header", { class: "panel-top" }, h("div", { class: "panel-tabs", role: "tablist", "aria-label": t("panel.title") }, tabs), parts.wire.tools, shut), body);
  const count = () => {
    fill(faults, store.faults.length ? String(store.faults.length) : "");
    faults.hidden = !store.faults.length;
  };
  store.on("world", count);
  count();
  handle.to(Number(localStorage.getItem(REMEMBERED)) || HEIGHT.first);
  choose("wire");
  return { element };
}

/** A separator that is dragged, or moved with the arrow keys. */
function createHandle(panel) {
  const element = h("div", { class: "panel-handle", role: "separator", tabindex: "0", "aria-orientation": "horizontal", "aria-label": t("panel.resize"), "aria-valuemin": String(HEIGHT.least) });
  let height = HEIGHT.first;
  const to = (wanted) => {
    height = Math.min(Math.max(wanted, HEIGHT.least), Math.round(window.innerHeight * 0.8));
    panel.style.setProperty("--panel-height", `${height}px`);
    panel.classList.toggle("is-shut", height <= HEIGHT.least);
    element.setAttribute("aria-valuenow", String(height));
    localStorage.setItem(REMEMBERED, String(height));
  };
  element.addEventListener("keydown", (event) => {
    const step = { ArrowUp: HEIGHT.step, ArrowDown: -HEIGHT.step }[event.key];
    if (!step) return;
    event.preventDefault();
    to(height + step);
  });
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    const move = (moved) => to(panel.getBoundingClientRect().bottom - moved.clientY);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", () => element.removeEventListener("pointermove", move), { once: true });
  });
  return { element, to };
}
