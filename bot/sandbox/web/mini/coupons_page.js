// Coupons: what can be claimed, and what the member has.

import { button, h } from "../dom.js";
import { currentLanguage, t } from "../i18n.js";

/** Claimable coupons above the member's own. */
export function couponsPage(store, session) {
  const { claimable, coupons } = session;
  return [
    h("h3", {}, t("mini.coupons.claimable")),
    claimable.length ? claimable.map((one) => claimableCoupon(store, session, one)) : h("p", { class: "mini-none" }, t("mini.coupons.none_claimable")),
    h("h3", {}, t("mini.coupons.mine")),
    coupons.length ? coupons.map((one) => ownCoupon(session, store, one)) : h("p", { class: "mini-none" }, t("mini.coupons.none")),
  ];
}

function claimableCoupon(store, session, coupon) {
  const claim = async () => {
    const answer = await session.do("POST", "v1/me/coupons", { template: coupon.code });
    if (answer) store.notice(t("mini.claim.done", { name: coupon.name }));
  };
  const full = coupon.can_claim === false;
  return ticket(coupon, "", button(t(full ? "mini.claimed" : "mini.claim"), claim, { kind: "primary small", disabled: full, "data-keep": `claim-${coupon.code}` }));
}

function ownCoupon(session, store, coupon) {
  const usable = coupon.status === "issued";
  const show = async (event) => {
    const shown = await session.call("GET", `v1/me/coupons/${coupon.id}`).catch((error) => store.notice(error.message));
    if (shown) event.target.replaceWith(h("code", { class: "coupon-code" }, shown.code));
  };
  const side = usable ? button(t("mini.coupon.code"), show, { kind: "small", "data-keep": `code-${coupon.id}` }) : h("span", { class: "coupon-state" }, t(`mini.status.${coupon.status}`));
  return ticket(coupon, usable ? "" : "spent", side);
}

function ticket(coupon, kind, side) {
  return h(
    "article",
    { class: `ticket ${kind}`.trim(), data: { status: coupon.status ?? "claimable" } },
    h("div", { class: "ticket-value" }, worth(coupon)),
    h("div", { class: "ticket-words" }, h("strong", {}, coupon.name), h("span", {}, until(coupon))),
    h("div", { class: "ticket-side" }, side),
  );
}

function worth(coupon) {
  const value = coupon.value ?? coupon.benefit ?? {};
  if (value.amount_fen) return [h("small", {}, "¥"), h("b", {}, String(value.amount_fen / 100))];
  if (value.percent_off) return [h("b", {}, `${value.percent_off}`), h("small", {}, "%")];
  return h("b", { class: "ticket-gift" }, [...coupon.name][0]);
}

function until(coupon) {
  const end = coupon.expires_at ?? coupon.claim_until;
  if (!end) return "";
  return t("mini.coupon.until", { date: new Intl.DateTimeFormat(currentLanguage(), { month: "short", day: "numeric" }).format(new Date(end)) });
}
