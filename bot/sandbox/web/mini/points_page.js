// The points statement, newest first; each movement can say why it happened.

import { h } from "../dom.js";
import { currentLanguage, t } from "../i18n.js";

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
    const answer = await session.call("GET", `v1/me/points/${one.id}`).catch((error) => ({ text: error.message }));
    why.textContent = answer.text ?? answer.why ?? JSON.stringify(answer.reason ?? answer);
  };
  const sign = one.amount > 0 ? "+" : "";
  return h(
    "li",
    {},
    h("div", { class: "movement-words" }, h("strong", {}, one.title ?? one.text ?? one.kind), h("span", {}, when(one.at ?? one.occurred_at))),
    h("div", { class: "movement-value", data: { gain: String(one.amount > 0) } }, h("b", {}, `${sign}${one.amount}`), h("button", { type: "button", class: "text-link", "aria-expanded": "false", on: { click: explain } }, t("mini.points.why"))),
    why,
  );
}

function when(moment) {
  return new Intl.DateTimeFormat(currentLanguage(), { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false }).format(new Date(moment));
}
