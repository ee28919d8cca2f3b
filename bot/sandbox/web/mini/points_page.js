// The points statement, newest first; each movement can say why it happened.

import { h } from "../dom.js";
import { currentLanguage, known, t } from "../i18n.js";

/** Movements with their reason. */
export function pointsPage(store, session) {
  if (!session.movements.length) return h("p", { class: "mini-none" }, t("mini.points.none"));
  return h("ul", { class: "movements" }, session.movements.map((one) => movement(store, session, one)));
}

function movement(store, session, one) {
  const why = h("p", { class: "movement-why", hidden: true });
  const explain = async (event) => {
    const opener = event.currentTarget;
    why.hidden = !why.hidden;
    opener.setAttribute("aria-expanded", String(!why.hidden));
    if (why.hidden || why.textContent) return;
    const answer = await session.call("GET", `v1/me/points/${one.id}`).catch((error) => store.notice(error.message));
    if (answer) why.textContent = whyOf(answer);
  };
  const sign = one.delta > 0 ? "+" : "";
  return h(
    "li",
    {},
    h("div", { class: "movement-words" }, h("strong", {}, kindOf(one.kind)), h("span", {}, `${when(one.occurred_at)} · ${t("mini.points.balance", { n: one.balance })}`)),
    h("div", { class: "movement-value", data: { gain: String(one.delta > 0) } }, h("b", {}, `${sign}${one.delta}`), h("button", { type: "button", class: "text-link", "aria-expanded": "false", on: { click: explain } }, t("mini.points.why"))),
    why,
  );
}

function kindOf(kind) {
  return known(`mini.kind.${kind}`) ? t(`mini.kind.${kind}`) : kind;
}

/** The facts the ledger kept about a movement, and when the points it touched end. */
function whyOf({ movement: { reason }, shares }) {
  const facts = Object.entries(reason).filter(([name, value]) => value !== null && value !== 0 && known(`mini.reason.${name}`));
  const said = facts.map(([name, value]) => t(`mini.reason.${name}`, { value: name === "amount_fen" ? (value / 100).toFixed(2) : value }));
  const ends = shares.filter((share) => share.expires_at).map((share) => t("mini.points.ends", { n: share.amount, date: day(share.expires_at) }));
  return [...said, ...ends].join("\n");
}

function day(moment) {
  return new Intl.DateTimeFormat(currentLanguage(), { year: "numeric", month: "short", day: "numeric" }).format(new Date(moment));
}

function when(moment) {
  return new Intl.DateTimeFormat(currentLanguage(), { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false }).format(new Date(moment));
}
