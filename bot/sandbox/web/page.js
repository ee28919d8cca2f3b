// Puts the parts together: header, guide, tabs for narrow screens, phones, the wire panel, passing notices.

import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { createGuide } from "./guide.js";
import { createHeader } from "./header.js";
import { miniProgram } from "./mini/mini_program.js";
import { wordsOf } from "./mini/session.js";
import { createPanel } from "./panel/panel.js";
import { officialAccount } from "./phones/official_account.js";
import { telegram } from "./phones/telegram.js";
import { wecom } from "./phones/wecom.js";

const NOTICE_MS = 3500;
const TABS = ["oa", "mini", "telegram", "wecom", "panel"];

/** Build the whole page anew inside `app`. */
export function buildPage(app, store, sessions, changeLanguage) {
  store.beginPage();
  const phones = { oa: officialAccount(store), mini: miniProgram(store, sessions), telegram: telegram(store), wecom: wecom(store, sessions) };
  const panel = createPanel(store, sessions);
  const workspace = h("div", { class: "workspace" });
  const choose = createTabs(workspace, phones);
  const stage = h("main", { class: "stage", id: "phones", tabindex: "-1" }, Object.values(phones).map((phone) => phone.element));
  workspace.append(stage, panel.element);
  const visit = (key) => {
    choose.to(key);
    phones[key].element.scrollIntoView({ block: "nearest", inline: "center" });
    phones[key].focus();
  };
  fill(
    app,
    h("a", { class: "skip", href: "#phones" }, t("skip.phones")),
    h("a", { class: "skip", href: "#panel" }, t("skip.panel")),
    createHeader(store, changeLanguage),
    createGuide(store, sessions, visit),
    choose.element,
    workspace,
    noticeArea(store),
    connectionBanner(store),
  );
  store.on("mini", () => choose.to("mini"));
  for (const phone of Object.values(phones)) phone.shown();
}

/** Tabs that choose which phone a narrow screen shows; wide screens show all and hide the tabs. */
function createTabs(workspace, phones) {
  const buttons = TABS.map((key) =>
    h("button", { type: "button", role: "tab", id: `tab-${key}`, "aria-controls": key === "panel" ? "panel" : `phone-${key}`, data: { tab: key }, on: { click: () => to(key) } }, t(`tab.${key}`)));
  const element = h("div", { class: "tabs", role: "tablist", "aria-label": t("tabs.label") }, buttons);

  function to(key) {
    workspace.dataset.tab = key;
    for (const button of buttons) {
      const chosen = button.dataset.tab === key;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
    phones[key]?.shown();
  }

  element.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.indexOf(workspace.dataset.tab);
    const next = TABS[(at + step + TABS.length) % TABS.length];
    to(next);
    buttons[TABS.indexOf(next)].focus();
  });
  to("oa");
  return { element, to };
}

function noticeArea(store) {
  const area = h("div", { class: "notices", role: "status", "aria-live": "polite" });
  const say = (text, kind = "") => {
    const note = h("p", { class: `notice ${kind}`.trim() }, text);
    area.append(note);
    setTimeout(() => note.remove(), NOTICE_MS);
  };
  store.on("notice", ({ text }) => say(text));
  store.on("trouble", ({ error }) => say(wordsOf(error), "bad"));
  return area;
}

function connectionBanner(store) {
  const banner = h("p", { class: "connection", role: "alert", hidden: store.connected }, store.connected ? "" : t("connection.lost"));
  store.on("connection", () => {
    banner.hidden = store.connected;
    banner.textContent = store.connected ? "" : t("connection.lost");
  });
  return banner;
}
