// The member's own page: number, phone by WeChat's button, subscription grants.

import { button, h } from "../dom.js";
import { t } from "../i18n.js";
import { grouped, tierName } from "./card_page.js";

const ASKED_AT_ONCE = 3;

/** Who the member is, and two things only a mini-program can ask for. */
export function mePage(store, session) {
  const { me } = session;
  return [
    h("dl", { class: "facts" }, me.name && fact(t("mini.name"), me.name), fact(t("mini.member_no"), grouped(me.number)), fact(t("mini.tier"), tierName(me)), fact(t("mini.phone.bound"), me.phone ?? t("mini.phone.none"))),
    h("section", { class: "mini-row" }, button(t("mini.phone.bind"), () => bindPhone(store, session), { kind: me.phone ? "wide" : "primary wide", "data-keep": "phone" })),
    !me.has_birthday && birthdayForm(store, session),
    h("section", { class: "mini-row" }, button(t("mini.subscribe"), () => subscribe(store, session), { kind: "wide", "data-keep": "subscribe" })),
  ];
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value || "–"));
}

function birthdayForm(store, session) {
  const input = h("input", { type: "date", name: "birthday", required: true, "aria-label": t("mini.birthday"), max: new Date().toISOString().slice(0, 10) });
  const save = async (event) => {
    event.preventDefault();
    if (await session.do("PATCH", "v1/me/profile", { birthday: input.value })) store.notice(t("mini.birthday.done"));
  };
  return h("form", { class: "mini-form", on: { submit: save } }, h("label", {}, h("span", {}, t("mini.birthday")), input), button(t("mini.save"), () => {}, { kind: "small", type: "submit" }));
}

async function bindPhone(store, session) {
  const pressed = await store.act(session.person, "wechat_mini/phone");
  if (!pressed) return;
  const answer = await session.do("POST", "v1/me/phone", { account: session.account, code: pressed.data.code });
  if (answer !== null) store.notice(t("mini.phone.done"));
}

async function subscribe(store, session) {
  const templates = (store.world?.templates ?? []).map((one) => one.template_id ?? one).slice(0, ASKED_AT_ONCE);
  if (!templates.length) return store.notice(t("mini.subscribe.none"));
  const answer = await store.act(session.person, "wechat_mini/subscribe", { template_ids: templates, accept: true });
  if (answer) store.notice(t("mini.subscribe.done", { n: templates.length }));
  return undefined;
}
