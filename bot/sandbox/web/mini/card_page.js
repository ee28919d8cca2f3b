// The first page: the member card, its rotating code, the check-in.

import { button, fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { qrPicture } from "./qr.js";

/** The card, the code when it is shown, and the check-in button. */
export function cardPage(store, session) {
  return [memberCard(session), joining(store, session), codeArea(store, session), checkIn(store, session)];
}

function memberCard({ me, standing, coupons }) {
  const usable = coupons.filter((coupon) => coupon.status === "issued").length;
  return h(
    "section",
    { class: "member-card" },
    h("div", { class: "card-top" }, h("span", { class: "card-tier" }, icon("star", 14), tierName(me)), h("span", { class: "card-number" }, grouped(me.number))),
    h("div", { class: "card-points" }, h("span", {}, t("mini.points")), h("strong", { id: "mini-points" }, String(me.points))),
    h("div", { class: "card-bottom" }, h("span", {}, nextTier(standing)), h("span", {}, `${t("mini.coupons")} ${usable}`)),
    progress(standing),
  );
}

/** The name of a member's tier in the reader's language. */
export function tierName(me) {
  return me.tier?.name ?? "";
}

function nextTier(standing) {
  return standing?.next_tier ? t("mini.next_tier", { n: standing.missing, name: standing.next_tier.name }) : "";
}

function progress(standing) {
  if (!standing?.next_tier) return null;
  return h("progress", { class: "card-progress", max: String(standing.growth + standing.missing), value: standing.growth, "aria-label": nextTier(standing) });
}

/** A guest is asked to join; everything else works for guests too. */
function joining(store, session) {
  if (session.me.is_registered) return null;
  const join = async () => {
    if (await session.do("POST", "v1/me/registration")) store.notice(t("mini.join.done"));
  };
  return h("section", { class: "mini-row" }, button(t("mini.join"), join, { kind: "primary wide", id: "mini-join", "data-keep": "join" }));
}

/** A long number in groups of four. */
export function grouped(number) {
  return String(number ?? "").replace(/(.{4})(?=.)/g, "$1 ");
}

function codeArea(store, session) {
  const area = h("section", { class: "member-code" });
  if (session.code && session.code.until > Date.now() / 1000) showCode(store, session, area);
  else fill(area, button([icon("scan", 16), t("mini.code.show")], () => renew(store, session, area), { kind: "wide", id: "mini-show-code" }));
  return area;
}

async function renew(store, session, area) {
  try {
    await session.readCode();
    showCode(store, session, area);
    area.scrollIntoView({ block: "nearest" });
  } catch (error) {
    store.notice(error.message);
  }
}

function showCode(store, session, area) {
  const left = h("span", { class: "code-left" });
  const digits = h("code", { class: "code-digits", id: "mini-code" }, grouped(session.code.code));
  fill(area, h("div", { class: "code-picture", "aria-label": t("mini.code") }, session.code.picture ? qrPicture(session.code.picture) : null), digits, left);
  const tick = () => {
    if (!area.isConnected) return clearInterval(timer);
    const seconds = Math.ceil(session.code.until - Date.now() / 1000);
    fill(left, t("mini.code.hint", { n: Math.max(0, seconds) }));
    if (seconds > 0) return undefined;
    clearInterval(timer);
    return renew(store, session, area);
  };
  const timer = setInterval(tick, 1000);
  requestAnimationFrame(tick);
}

function checkIn(store, session) {
  const done = session.checkedInToday;
  const run = async () => {
    const answer = await session.do("POST", "v1/me/check-ins");
    if (answer) store.notice(t("mini.check_in.done", { n: answer.points }));
  };
  return h("section", { class: "mini-row" }, button([icon("check", 16), t(done ? "mini.checked_in" : "mini.check_in")], run, { kind: done ? "wide" : "primary wide", id: "mini-check-in", disabled: done, "data-keep": "check-in" }));
}
