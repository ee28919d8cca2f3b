// One line of a chat, drawn as its platform draws that kind of message.

import { h } from "../dom.js";
import { clockTime, t } from "../i18n.js";
import { icon } from "../icons.js";
import { avatar } from "./frame.js";
import { templateCard } from "./template_card.js";
import { linkedText, markdownText } from "./text.js";

const SYSTEM_KINDS = new Set(["notice"]);
const ARTICLES = new Set(["news", "link", "textcard", "miniprogrampage", "mpnews", "mpnewsarticle"]);
const FORMS = new Set(["template", "subscribe"]);

/** The payload as the product sent it. */
export function payloadOf(line) {
  return line.data.message ?? line.data.template_card ?? line.data;
}

/** Draw a line. `press(line, button)` presses a button of it; `nameOf(line)` says who wrote it. */
export function renderLine(line, { press, nameOf }) {
  if (line.state === "recalled" || line.state === "deleted") return systemLine(t(`line.${line.state}`));
  if (line.from === "system" || SYSTEM_KINDS.has(line.kind)) return systemLine(line.text, line.kind);
  const name = nameOf(line);
  const pressOne = (button) => press(line, button);
  const { content, rest } = contentOf(line, pressOne);
  const classes = `bubble kind-${line.kind}${isCard(line) ? " is-card" : ""}`;
  return h(
    "article",
    { class: "line", data: { from: line.from, kind: line.kind, line: String(line.id) }, "aria-label": t("line.said", { who: name }) },
    avatar(name, line.from === "account" ? "of-account" : "of-person"),
    h(
      "div",
      { class: "line-column" },
      h("div", { class: classes }, content, h("span", { class: "line-meta" }, line.state === "edited" ? `${t("line.edited")} ` : "", clockTime(line.at))),
      rest.length > 0 && keyboard(rest, pressOne, line.state === "done"),
    ),
  );
}

function systemLine(text, kind = "notice") {
  return h("p", { class: "line-system", data: { kind } }, text);
}

function isCard(line) {
  return ARTICLES.has(line.kind) || FORMS.has(line.kind) || line.kind === "template_card" || line.kind === "location" || line.kind === "contact";
}

/** What a line shows, and the buttons that are not part of it. */
function contentOf(line, press) {
  if (ARTICLES.has(line.kind)) return { content: article(line, press), rest: [] };
  if (FORMS.has(line.kind)) return { content: form(line, press), rest: [] };
  if (line.kind === "template_card") return { content: templateCard(payloadOf(line), line, press), rest: [] };
  if (line.kind === "msgmenu") return { content: menu(line, press), rest: [] };
  if (line.kind === "markdown") return { content: markdownText(line.text), rest: line.buttons };
  const media = mediaOf(line);
  if (media) return { content: media, rest: line.buttons };
  if (line.channel === "telegram") return { content: linkedText(line.text, "", [], press).nodes, rest: line.buttons };
  const { nodes, unused } = linkedText(line.text, line.data.reply?.Content ?? payloadOf(line).content, line.buttons, press);
  return { content: nodes, rest: unused };
}

function mediaOf(line) {
  if (line.kind === "image" || line.kind === "photo") {
    const picture = line.data.url && h("img", { src: line.data.url, alt: line.text || t("line.image"), loading: "lazy" });
    const caption = line.kind === "photo" && line.text && h("span", {}, line.text);
    return [picture || placeholder("picture", t("line.image")), caption];
  }
  if (line.kind === "voice") return placeholder("voice", `${t("line.voice")} 3″`);
  if (line.kind === "video") return placeholder("picture", t("line.video"));
  if (line.kind === "location") return h("div", { class: "place" }, h("span", { class: "place-map", "aria-hidden": "true" }, icon("pin", 22)), h("span", {}, line.text || t("line.location")));
  if (line.kind === "contact") return h("div", { class: "place" }, icon("person", 22), h("span", {}, line.text));
  return null;
}

function placeholder(sign, words) {
  return h("span", { class: "placeholder" }, icon(sign), words);
}

function article(line, press) {
  const [title, ...rest] = line.text.split("\n");
  const main = line.buttons[0];
  const footer = line.kind === "miniprogrampage" ? [icon("link", 14), t("line.miniprogram")] : main?.text !== title && main?.text;
  return h(
    main ? "button" : "div",
    { class: "article-card", type: main && "button", on: main ? { click: () => press(main) } : {} },
    h("strong", {}, title),
    rest.length > 0 && h("span", { class: "article-text" }, rest.join("\n").replace(/<[^>]*>/g, "")),
    footer && h("span", { class: "card-footer" }, footer),
  );
}

function form(line, press) {
  const [first, ...others] = line.text.split("\n");
  const fields = Object.entries(line.data.fields ?? {});
  const rows = fields.length ? fields : others.map((text, index) => [String(index), text]);
  return h(
    "div",
    { class: "form-card" },
    h("strong", {}, line.data.title ?? first),
    h("ul", {}, rows.map(([key, value]) => h("li", { data: { field: key } }, value))),
    line.buttons.map((button) => h("button", { type: "button", class: "card-footer", on: { click: () => press(button) } }, button.text, icon("chevron", 14))),
  );
}

function menu(line, press) {
  const { head_content: head, tail_content: tail } = payloadOf(line);
  return [
    h("span", {}, head ?? line.text),
    h("ul", { class: "msgmenu" }, line.buttons.map((button) => h("li", {}, h("button", { type: "button", class: "text-link", on: { click: () => press(button) } }, button.text)))),
    tail && h("span", {}, tail),
  ];
}

/** Buttons under a message, in the rows that the product gave them. */
function keyboard(buttons, press, done) {
  const rows = new Map();
  for (const button of buttons) rows.set(button.row, [...(rows.get(button.row) ?? []), button]);
  return h(
    "div",
    { class: "keyboard" },
    [...rows.values()].map((row) =>
      h("div", { class: "keyboard-row" }, row.map((button) =>
        h("button", { type: "button", class: "key", disabled: done, on: { click: () => press(button) } }, button.text, button.kind === "url" && icon("link", 13)))),
    ),
  );
}
