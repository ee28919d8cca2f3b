// Where a person writes: an input, quick suggestions above it, and a sheet of other things to send.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";

/**
 * A composer. `say(text)` sends; `chips` are suggestions that are sent as they stand;
 * `more` are `[icon, label, run]` of the sheet; `lead` stands before the input.
 */
export function createComposer({ say, chips = [], more = [], lead = null, placeholder = t("composer.text") }) {
  const input = h("input", { class: "composer-input", type: "text", placeholder, "aria-label": placeholder, autocomplete: "off", enterkeyhint: "send", maxlength: "600" });
  const sheet = more.length > 0 && moreSheet(more);
  const send = (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    say(text);
  };
  const toggle = h("button", { type: "button", class: "tool", "aria-label": t("composer.more"), title: t("composer.more"), "aria-expanded": "false" }, icon("plus"));
  if (sheet) toggle.addEventListener("click", () => open(sheet.hidden));
  const open = (shown) => {
    sheet.hidden = !shown;
    toggle.setAttribute("aria-expanded", String(shown));
  };
  if (sheet) sheet.addEventListener("click", () => open(false));
  const element = h(
    "div",
    { class: "composer" },
    chips.length > 0 && chipRow(chips, say),
    h("form", { class: "composer-row", on: { submit: send } }, lead, input, sheet && toggle, h("button", { type: "submit", class: "tool send", "aria-label": t("composer.send"), title: t("composer.send") }, icon("send"))),
    sheet,
  );
  return { element, input };
}

/** Suggestions in one row that scrolls sideways. */
export function chipRow(chips, say) {
  const buttons = chips.map((words) => h("button", { type: "button", class: "chip", on: { click: () => say(words) } }, words));
  return h("div", { class: "chips", role: "group", "aria-label": t("composer.suggestions") }, buttons);
}

function moreSheet(more) {
  const entries = more.map(([sign, label, run]) => h("button", { type: "button", class: "more-entry", on: { click: run } }, icon(sign, 22), h("span", {}, label)));
  return h("div", { class: "more-sheet", hidden: true }, entries);
}
