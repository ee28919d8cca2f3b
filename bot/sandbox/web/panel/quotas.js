// Quotas that are left, and what the platforms would let the product send to these two people now.

import { fill, h } from "../dom.js";
import { duration, t } from "../i18n.js";

/** Windows first, then every API with its daily quota. */
export function createQuotas(store) {
  const element = h("div", { class: "quotas" });
  const draw = () => fill(element, windows(store), tables(store.world?.quotas ?? {}));
  store.on("world screen people", draw);
  draw();
  return { element };
}

function windows(store) {
  const name = store.person(store.member)?.name ?? "";
  const rows = [
    ["wechat_oa", officialAccount],
    ["wechat_mini", (info) => grants(info)],
    ["telegram", (info) => t(info.blocked ? "quota.blocked" : info.started ? "quota.reachable" : "quota.not_following")],
  ];
  const facts = rows.map(([channel, say]) => [channel, store.channel(store.member, channel), say]).filter(([, info]) => info);
  return h(
    "section",
    { class: "quota-block" },
    h("h3", {}, t("quota.windows"), name && h("small", {}, ` · ${name}`)),
    h("dl", {}, facts.map(([channel, info, say]) => h("div", {}, h("dt", {}, t(`filter.${channel}`)), h("dd", {}, say(info))))),
  );
}

function officialAccount(info) {
  if (!info.following) return t("quota.not_following");
  const window = info.window ? t("quota.window.open", { n: info.window.remaining, left: duration(info.window.expires_in_s) }) : t("quota.window.closed");
  return `${window} · ${grants(info)}`;
}

function grants(info) {
  return t("quota.grants", { n: Object.values(info.grants ?? {}).reduce((sum, n) => sum + n, 0) });
}

function tables(quotas) {
  const accounts = Object.entries(quotas).filter(([, apis]) => Object.keys(apis).length);
  if (!accounts.length) return h("p", { class: "panel-empty" }, t("quota.none"));
  return accounts.map(([account, apis]) => h("section", { class: "quota-block" }, h("h3", {}, account), h("ul", {}, Object.entries(apis).map(([api, quota]) => quotaRow(api, quota)))));
}

function quotaRow(api, { limit, used, left }) {
  const low = limit > 0 && left / limit < 0.1;
  return h(
    "li",
    { class: "quota-row", data: { low: String(low) } },
    h("code", {}, api),
    h("progress", { max: String(limit || 1), value: used, "aria-label": api }),
    h("span", {}, t("quota.used", { used, limit })),
  );
}
