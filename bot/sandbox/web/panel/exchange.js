// One exchange: a row that says what happened, and behind it the letters as sent and in clear.

import { fill, h } from "../dom.js";
import { clockTime, known, t } from "../i18n.js";
import { icon } from "../icons.js";
import { tool } from "../phones/frame.js";
import { highlighted } from "./highlight.js";
import { summaryOf } from "./summary.js";

const DEADLINE_MS = 5000;
const GOOD = new Set(["ok", "replied", "accepted"]);

/** A list item; its letters are drawn when it is first opened. */
export function createExchange(store, entry) {
  const letters = h("div", { class: "letters", id: `letters-${entry.id}`, hidden: true });
  const opener = h("button", { type: "button", class: "exchange-row", "aria-expanded": "false", "aria-controls": letters.id }, head(store, entry));
  opener.addEventListener("click", () => {
    if (!letters.childElementCount) fill(letters, facts(entry), h("div", { class: "letter-grid" }, lettersOf(entry)));
    letters.hidden = !letters.hidden;
    opener.setAttribute("aria-expanded", String(!letters.hidden));
  });
  return h("li", { class: "exchange", data: { kind: entry.kind, platform: entry.platform, id: String(entry.id), good: String(GOOD.has(entry.verdict)) } }, opener, letters);
}

function head(store, entry) {
  const callback = entry.kind === "callback";
  return [
    h("span", { class: "exchange-time" }, clockTime(entry.at, { withSeconds: true })),
    h("span", { class: "exchange-way", title: t(`wire.${entry.kind}`) }, icon(callback ? "outgoing" : "incoming", 15), h("span", { class: "unseen" }, t(`wire.${entry.kind}`))),
    h("span", { class: "exchange-platform" }, t(`filter.${entry.platform}`)),
    h("span", { class: "exchange-what" }, summaryOf(entry), entry.try > 1 && h("em", {}, t("wire.try", { n: entry.try }))),
    h("span", { class: "exchange-who" }, store.person(entry.person)?.name ?? ""),
    h("span", { class: "exchange-ms" }, t("wire.ms", { ms: entry.ms < 10 ? entry.ms.toFixed(1) : Math.round(entry.ms) })),
    h("span", { class: "verdict", data: { good: String(GOOD.has(entry.verdict)) } }, known(`verdict.${entry.verdict}`) ? t(`verdict.${entry.verdict}`) : entry.verdict),
    icon("chevron", 14),
  ];
}

/** How the letter was protected and how long the answer took. */
function facts(entry) {
  const found = [];
  if (/signature=/.test(entry.url)) found.push([icon("check", 13), t("wire.signed")]);
  if (sealed(entry)) found.push([icon("lock", 13), t("wire.encrypted")]);
  if (Object.keys(entry.request.headers ?? {}).some((name) => /secret/i.test(name))) found.push([icon("lock", 13), t("wire.secret_header")]);
  if (entry.message_id) found.push([t("wire.message_id", { id: entry.message_id })]);
  const meter = entry.kind === "callback" && h("meter", { min: "0", max: String(DEADLINE_MS), low: "1000", high: "3500", optimum: "0", value: Math.min(entry.ms, DEADLINE_MS), "aria-hidden": "true" });
  return h(
    "div",
    { class: "facts-row" },
    h("code", { class: "letter-url" }, `${entry.method} ${entry.url}`),
    found.map((content) => h("span", { class: "fact" }, content)),
    h("span", { class: "fact" }, meter, entry.kind === "callback" ? t("wire.deadline", { ms: Math.round(entry.ms) }) : t("wire.ms", { ms: entry.ms }), entry.status ? ` · HTTP ${entry.status}` : ""),
  );
}

function sealed(entry) {
  return Boolean(entry.request.clear) && entry.request.clear !== entry.request.raw;
}

function lettersOf(entry) {
  if (entry.kind === "api") return [letter("wire.request", entry.request.clear || entry.request.raw, entry.request.headers), letter("wire.response", entry.response.clear || entry.response.raw)];
  if (!sealed(entry)) return [letter("wire.sealed.plain", entry.request.raw, entry.request.headers), letter("wire.answer", entry.response.clear || entry.response.raw)];
  const opened = entry.response.clear && entry.response.clear !== entry.response.raw;
  return [
    letter("wire.sealed", entry.request.raw, {}, "sealed"),
    letter("wire.opened", entry.request.clear, {}, "opened"),
    letter("wire.answer", entry.response.raw, {}, opened ? "sealed" : ""),
    opened && letter("wire.answer.opened", entry.response.clear, {}, "opened"),
  ];
}

function letter(title, text, headers = {}, kind = "") {
  const lines = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`).join("\n");
  const sign = kind && icon(kind === "sealed" ? "lock" : "unlock", 13);
  const copy = tool("copy", t("wire.copy"), (event) => copied(event.currentTarget, text));
  return h(
    "section",
    { class: `letter ${kind}`.trim() },
    h("header", {}, sign, h("h3", {}, t(title)), text && copy),
    lines && h("pre", { class: "letter-headers" }, lines),
    h("pre", { tabindex: "0" }, text ? highlighted(text, { indent: kind !== "sealed" }) : h("i", {}, t("wire.nothing"))),
  );
}

async function copied(pressed, text) {
  await navigator.clipboard.writeText(text).catch(() => {});
  pressed.title = t("wire.copied");
  pressed.classList.add("is-done");
}
