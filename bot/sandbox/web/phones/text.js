// Text with links, and the little markdown that WeCom shows.

import { h } from "../dom.js";

const ANCHOR = /<a\b[^>]*>[\s\S]*?<\/a>/gi;
const MARK = /\*\*(.+?)\*\*|`([^`]+)`|\[([^\]]+)\]\([^)]*\)|<font color="(info|comment|warning)">(.*?)<\/font>/g;

/**
 * Text whose anchors are links. `sent` is the text as the product sent it, anchors included; the sandbox made one
 * button of each, in order. `unused` are the buttons that belong to no anchor.
 */
export function linkedText(text, sent, buttons, press) {
  const pieces = (sent ?? "").split(ANCHOR);
  if (pieces.length !== buttons.length + 1 || !buttons.length) return { nodes: [h("span", { class: "said" }, text)], unused: buttons };
  const nodes = pieces.flatMap((piece, index) => [piece, index < buttons.length && link(buttons[index], press)]);
  return { nodes: [h("span", { class: "said" }, nodes)], unused: [] };
}

function link(button, press) {
  return h("button", { type: "button", class: "text-link", on: { click: () => press(button) } }, button.text);
}

/** WeCom markdown: headings, quotes, bold, code and the three font colours. */
export function markdownText(text) {
  return h("div", { class: "markdown" }, text.split("\n").map(markdownLine));
}

function markdownLine(line) {
  const heading = /^#{1,6}\s+(.*)$/.exec(line);
  if (heading) return h("strong", { class: "md-heading" }, inline(heading[1]));
  const quote = /^>\s?(.*)$/.exec(line);
  if (quote) return h("blockquote", {}, inline(quote[1]));
  return h("p", {}, inline(line));
}

function inline(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(MARK)) {
    nodes.push(text.slice(end, match.index));
    const [whole, bold, code, link, color, coloured] = match;
    if (bold) nodes.push(h("strong", {}, bold));
    else if (code) nodes.push(h("code", {}, code));
    else if (link) nodes.push(h("u", {}, link));
    else nodes.push(h("span", { class: `md-${color}` }, coloured));
    end = match.index + whole.length;
  }
  nodes.push(text.slice(end));
  return nodes;
}
