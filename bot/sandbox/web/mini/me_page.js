// The member's own page: number, phone by WeChat's button, subscription grants.

import { button, h } from "../dom.js";
import { t } from "../i18n.js";
import { grouped, tierName } from "./card_page.js";

const ASKED_AT_ONCE = 3;

/** Who the member is, and two things only a mini-program can ask for. */
export function mePage(store, session) {
  const { me } = session;
  return [
    h("dl", { class: "facts" }, fact(t("mini.member_no"), grouped(me.number)), fact(t("mini.tier"), tierName(me)), fact(t("mini.phone.bound"), me.phone ?? t("mini.phone.none"))),
    h("section", { class: "mini-row" }, button(t("mini.phone.bind"), () => bindPhone(store, session), { kind: me.phone ? "wide" : "primary wide", "data-keep": "phone" })),
    h("section", { class: "mini-row" }, button(t("mini.subscribe"), () => subscribe(store, session), { kind: "wide", "data-keep": "subscribe" })),
  ];
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value || "–"));
}

async function bindPhone(store, session) {
  const pressed = await store.act(session.person, "wechat_mini/phone");
  if (!pressed) return;
  const answer = await session.do("POST", "v1/me/phone", { code: pressed.data.code });
  if (answer !== null) store.notice(t("mini.phone.done"));
}

async function subscribe(store, session) {
  const templates = (store.world?.templates ?? []).map((one) => one.template_id ?? one).slice(0, ASKED_AT_ONCE);
  if (!templates.length) return store.notice(t("mini.subscribe.none"));
  const answer = await store.act(session.person, "wechat_mini/subscribe", { template_ids: templates, accept: true });
  if (answer) store.notice(t("mini.subscribe.done", { n: templates.length }));
  return undefined;
}
