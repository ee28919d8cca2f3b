// The account's own menu at the bottom of the chat: up to three buttons, each with up to five below it.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { tool } from "./frame.js";

/** The menu bar. `press(path)` gets the indexes of the pressed button. */
export function createMenu(buttons, press, toKeyboard) {
  const back = tool("keyboard", t("composer.keyboard"), toKeyboard);
  if (!buttons?.length) return h("div", { class: "menu-bar" }, back, h("p", { class: "menu-empty" }, t("oa.menu.empty")));
  const bar = h("div", { class: "menu-bar", role: "group", "aria-label": t("oa.menu.label") }, back);
  bar.append(...buttons.map((button, index) => column(button, index, press, bar)));
  bar.addEventListener("keydown", (event) => event.key === "Escape" && closeAll(bar));
  return bar;
}

function column(button, index, press, bar) {
  const children = button.sub_button ?? [];
  if (!children.length) return h("div", { class: "menu-column" }, h("button", { type: "button", class: "menu-button", on: { click: () => press([index]) } }, button.name));
  const list = h(
    "div",
    { class: "menu-list", hidden: true },
    children.map((child, at) => h("button", { type: "button", class: "menu-entry", on: { click: () => { closeAll(bar); press([index, at]); } } }, child.name)),
  );
  const opener = h("button", { type: "button", class: "menu-button", "aria-expanded": "false" }, icon("menu", 14), button.name);
  opener.addEventListener("click", () => {
    const wasShut = list.hidden;
    closeAll(bar);
    list.hidden = !wasShut;
    opener.setAttribute("aria-expanded", String(wasShut));
  });
  return h("div", { class: "menu-column" }, opener, list);
}

function closeAll(bar) {
  for (const list of bar.querySelectorAll(".menu-list")) list.hidden = true;
  for (const opener of bar.querySelectorAll("[aria-expanded]")) opener.setAttribute("aria-expanded", "false");
}
