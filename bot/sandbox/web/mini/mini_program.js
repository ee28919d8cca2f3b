// The mini-program (小程序) on the member's phone: a plain page over the member API.

import { button, fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { avatar, createPhone, emptyPhone, tool } from "../phones/frame.js";
import { createNotices } from "../phones/notices.js";
import { cardPage } from "./card_page.js";
import { couponsPage } from "./coupons_page.js";
import { mePage } from "./me_page.js";
import { pointsPage } from "./points_page.js";

const PAGES = { card: cardPage, coupons: couponsPage, points: pointsPage, me: mePage };
const SIGNS = { card: "phone", coupons: "ticket", points: "star", me: "person" };
const CHANNEL = "wechat_mini";

/** The mini-program's phone. */
export function miniProgram(store, sessions) {
  const phone = createPhone(store, "mini");
  const notices = createNotices(store, phone, [CHANNEL]);
  const session = () => sessions.of(store.member);
  const name = () => store.channel(store.member, CHANNEL)?.name ?? t("phone.mini");

  const bar = () => {
    const open = session().state === "open";
    const tools = [notices.bell, open && tool("close", t("mini.leave"), () => session().close())];
    phone.appBar(h("div", { class: "app-name centred" }, h("strong", {}, open ? name() : t("mini.home"))), h("div", { class: "app-tools" }, tools));
  };
  const draw = () => {
    phone.belongsTo(store.person(store.member)?.name);
    bar();
    const state = session().state;
    if (!store.channel(store.member, CHANNEL)) return fill(phone.body, emptyPhone(t("phone.absent")));
    if (state === "opening") return fill(phone.body, h("p", { class: "phone-empty", role: "status" }, h("span", { class: "spinner" }), t("mini.opening")));
    if (state === "failed") return fill(phone.body, failed(session()));
    if (state === "closed" || !session().me) return fill(phone.body, home(name(), session()));
    return drawPages();
  };
  const drawPages = () => {
    const at = phone.body.querySelector(".mini-page")?.scrollTop ?? 0;
    const held = document.activeElement?.dataset?.keep;
    const page = h("div", { class: "mini-page", data: { page: session().page } }, PAGES[session().page](store, session()));
    fill(phone.body, h("div", { class: "mini" }, page, tabs(session(), draw)));
    page.scrollTop = at;
    if (held) phone.body.querySelector(`[data-keep="${held}"]`)?.focus();
  };
  store.on("people screen reset", () => {
    if (session().state === "closed" && session().wasOpen && store.channel(store.member, CHANNEL)) session().open();
    else if (session().state !== "open" || !phone.body.querySelector(".mini")) draw();
    else bar();
  });
  store.on("mini-session", ({ person }) => person === store.member && draw());
  store.on("mini", ({ page }) => {
    session().page = pageFor(page);
    if (session().state === "open") draw();
    else session().open();
  });
  draw();
  if (session().state === "closed" && session().wasOpen) session().open();
  return { element: phone.element, focus: () => phone.body.querySelector("button")?.focus(), shown: () => {} };
}

/** The page that a path of the real mini-program stands for. */
function pageFor(path) {
  return Object.keys(PAGES).find((name) => path.includes(name.replace(/s$/, ""))) ?? "card";
}

function home(name, session) {
  return h(
    "div",
    { class: "mini-home" },
    h("button", { type: "button", class: "mini-launcher", id: "mini-open", on: { click: () => session.open() } }, avatar(name, "of-account large"), h("span", {}, name), h("strong", {}, t("mini.open"))),
    h("p", {}, t("mini.home.intro")),
  );
}

function failed(session) {
  return h("div", { class: "mini-home" }, h("strong", {}, t("mini.login.failed")), h("p", { role: "alert" }, session.trouble), button(t("mini.retry"), () => session.open(), { kind: "primary" }), button(t("mini.leave"), () => session.close(), { kind: "quiet" }));
}

function tabs(session, draw) {
  const go = (page) => {
    session.page = page;
    draw();
  };
  return h(
    "nav",
    { class: "mini-tabs", "aria-label": t("phone.mini") },
    Object.keys(PAGES).map((page) =>
      h("button", { type: "button", "aria-current": session.page === page ? "page" : null, data: { keep: `tab-${page}` }, on: { click: () => go(page) } }, icon(SIGNS[page], 20), h("span", {}, t(`mini.tab.${page}`)))),
  );
}
