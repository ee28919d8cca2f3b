// Coupons: what can be claimed, and what the member has.

import { button, h } from "../dom.js";
import { currentLanguage, t } from "../i18n.js";
import { icon } from "../icons.js";

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
    const answer = await session.do("POST", "v1/me/coupons", { template: coupon.template });
    if (answer) store.notice(t("mini.claim.done", { name: coupon.name }));
  };
  const words = coupon.held > 0 ? "mini.claimed" : coupon.refusal ? "mini.claim.not" : "mini.claim";
  const press = button(t(words), claim, { kind: "primary small", disabled: coupon.refusal !== null, "data-keep": `claim-${coupon.template}` });
  return ticket(coupon, "", press);
}

function ownCoupon(session, store, coupon) {
  const usable = coupon.status === "issued";
  const show = async (event) => {
    const shown = await session.call("GET", `v1/me/coupons/${coupon.id}`).catch((error) => store.notice(error.message));
    if (shown) event.target.replaceWith(h("code", { class: "coupon-code" }, inFours(shown.code ?? "")));
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

/** A coupon code in groups of four, as it is read aloud. */
function inFours(code) {
  return code.replace(/-/g, "").replace(/(.{4})(?=.)/g, "$1-");
}

function worth({ worth: { kind, off_fen: off, percent_off: percent, item } }) {
  if (kind === "amount") return [h("small", {}, "¥"), h("b", {}, String(off / 100))];
  // 折 counts what is left to pay, in tenths; "% off" what is not.
  if (kind === "percent") return [h("b", {}, String(currentLanguage() === "en" ? percent : (100 - percent) / 10)), h("small", {}, t("mini.coupon.percent.unit"))];
  return h("b", { class: "ticket-gift", title: item }, icon("star", 24));
}

/** From what order it counts, and until when. */
function until(coupon) {
  const end = coupon.expires_at ?? coupon.claim_until;
  const date = end && new Intl.DateTimeFormat(currentLanguage(), { month: "short", day: "numeric" }).format(new Date(end));
  const least = coupon.min_spend_fen > 0 && t("mini.coupon.from", { yuan: coupon.min_spend_fen / 100 });
  return [least, date && t(coupon.expires_at ? "mini.coupon.until" : "mini.coupon.claim_until", { date })].filter(Boolean).join(" · ");
}
