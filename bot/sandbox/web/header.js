// The top of the page: who plays, language, appearance, start over.

import { ask } from "./dialog.js";
import { button, fill, h, svg } from "./dom.js";
import { currentLanguage, t } from "./i18n.js";
import { tool } from "./phones/frame.js";
import { icon } from "./icons.js";
import { currentTheme, nextTheme } from "./theme.js";

const THEME_SIGNS = { auto: "auto", light: "sun", dark: "moon" };

/** The header. */
export function createHeader(store, changeLanguage) {
  const other = currentLanguage() === "en" ? "zh-CN" : "en";
  return h(
    "header",
    { class: "top" },
    h("div", { class: "brand" }, mark(), h("div", {}, h("h1", {}, t("brand.name")), h("span", { class: "brand-line" }, t("brand.line")))),
    h("div", { class: "players" }, picker(store, "member"), newcomer(store), picker(store, "staff")),
    h(
      "div",
      { class: "top-tools" },
      button(t("toggle.language"), () => changeLanguage(other), { kind: "quiet", label: t("toggle.language.label"), lang: other, id: "language" }),
      themeButton(),
      tool("reset", t("world.reset"), () => ask(t("world.reset"), t("world.reset.ask"), () => store.resetWorld())),
    ),
  );
}

function mark() {
  return svg(
    "svg",
    { viewBox: "0 0 32 32", class: "mark", "aria-hidden": "true" },
    svg("rect", { width: "32", height: "32", rx: "9", class: "mark-tile" }),
    svg("path", { d: "M9 12.5a3.5 3.5 0 0 1 3.5-3.5h7a3.5 3.5 0 0 1 3.5 3.5v4a3.5 3.5 0 0 1-3.5 3.5H15l-4 3.5V20a3.5 3.5 0 0 1-2-3.2z", class: "mark-bubble" }),
    svg("circle", { cx: "13.5", cy: "14.5", r: "1.4", class: "mark-eye" }),
    svg("circle", { cx: "18.5", cy: "14.5", r: "1.4", class: "mark-eye" }),
  );
}

function picker(store, part) {
  const select = h("select", { id: `pick-${part}`, on: { change: () => store.choose({ [part]: select.value }) } });
  const draw = () => {
    const fitting = store.people.filter((person) => (person.kind === "staff") === (part === "staff"));
    fill(select, fitting.map((person) => h("option", { value: person.id }, person.name)));
    select.value = store[part];
  };
  store.on("people", draw);
  draw();
  return h("label", { class: "picker" }, h("span", {}, t(`people.${part}`)), select);
}

function newcomer(store) {
  const names = t("people.new.names").split(",");
  const arrive = () => store.addMember(names[store.people.length % names.length]).catch((error) => store.tell("trouble", { error }));
  return button([icon("plus", 15), h("span", { class: "newcomer-words" }, t("people.new"))], arrive, { kind: "quiet small newcomer", label: t("people.new.label"), id: "newcomer" });
}

function themeButton() {
  const element = tool(THEME_SIGNS[currentTheme()], t(`theme.${currentTheme()}`), () => {
    const theme = nextTheme();
    fill(element, icon(THEME_SIGNS[theme]));
    element.setAttribute("aria-label", t(`theme.${theme}`));
    element.title = t(`theme.${theme}`);
  });
  element.id = "theme";
  return element;
}
