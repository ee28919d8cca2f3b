// Three steps for a newcomer, which tick themselves off as they happen on the phones.

import { button, fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { perform } from "./phones/acting.js";
import { tool } from "./phones/frame.js";

const HIDDEN = "xiaohui.sandbox.guide.hidden";
const CHECK_IN = /签到|打卡|check.?in/i;
const REDEEMED = /已核销|核销成功|redeemed/i;

/** The guide. `visit(phone)` brings a phone into view. */
export function createGuide(store, sessions, visit) {
  const element = h("section", { class: "guide", "aria-label": t("guide.title") });
  const hide = (hidden) => {
    if (hidden) localStorage.setItem(HIDDEN, "1");
    else localStorage.removeItem(HIDDEN);
    draw();
  };
  const act = (verb, body) => perform(store, store.member, verb, body);
  const steps = [
    { key: "follow", done: () => Boolean(store.channel(store.member, "wechat_oa")?.following), run: () => act("wechat_oa/follow", {}), phone: "oa" },
    { key: "check_in", done: () => checkedIn(store), run: () => act("wechat_oa/say", { text: "签到" }), phone: "oa" },
    { key: "redeem", done: () => redeemed(store, sessions), run: null, phone: "wecom" },
  ];

  function draw() {
    const states = steps.map((step) => step.done());
    const next = states.indexOf(false);
    element.classList.toggle("is-hidden", localStorage.getItem(HIDDEN) === "1");
    element.classList.toggle("is-done", next < 0);
    if (localStorage.getItem(HIDDEN) === "1") return fill(element, button(t("guide.again"), () => hide(false), { kind: "quiet small" }));
    return fill(
      element,
      h("ol", { class: "steps" }, steps.map((step, index) => stepCard(store, step, index, states[index], index === next, visit))),
      next < 0 && h("p", { class: "guide-all" }, t("guide.all")),
      tool("close", t("guide.hide"), () => hide(true)),
    );
  }

  let drawn = "";
  const drawWhenChanged = () => {
    const states = JSON.stringify([store.member, steps.map((step) => step.done())]);
    if (states !== drawn) draw();
    drawn = states;
  };
  store.on("people screen line reset mini-session", drawWhenChanged);
  drawWhenChanged();
  return element;
}

function stepCard(store, step, index, done, isNext, visit) {
  const state = done ? "done" : isNext ? "next" : "later";
  const sign = done ? icon("check", 15) : String(index + 1);
  const words = h("span", { class: "step-words" }, h("strong", {}, t(`guide.${step.key}`)), h("small", {}, t(`guide.${step.key}.hint`)));
  const help = isNext && (step.run ? button(t("guide.do"), () => { visit(step.phone); step.run(); }, { kind: "primary small" }) : [
    button(t("guide.claim"), () => { visit("mini"); store.tell("mini", { page: "coupons" }); }, { kind: "small" }),
    button(t("guide.show"), () => visit(step.phone), { kind: "primary small" }),
  ]);
  return h("li", { class: "step", data: { state, step: step.key }, "aria-current": isNext ? "step" : null }, h("span", { class: "step-sign" }, sign, done && h("span", { class: "unseen" }, t("guide.done"))), words, help);
}

/** The member said it and the account answered after it, in any chat. */
function checkedIn(store) {
  for (const channel of ["wechat_oa", "telegram"]) {
    const lines = store.lines(store.member, channel);
    const asked = lines.findIndex((line) => line.from === "person" && (CHECK_IN.test(line.text) || CHECK_IN.test(JSON.stringify(line.data))));
    if (asked >= 0 && lines.slice(asked).some((line) => line.from === "account")) return true;
  }
  return false;
}

function redeemed(store, sessions) {
  if (sessions.of(store.member).redeemed) return true;
  return store.lines(store.staff, "wecom").some((line) => line.from === "account" && REDEEMED.test(line.text));
}
