// Text with links, and the little markdown that WeCom shows.

import { h } from "../dom.js";

const MARK = /\*\*(.+?)\*\*|`([^`]+)`|\[([^\]]+)\]\([^)]*\)|<font color="(info|comment|warning)">(.*?)<\/font>/g;

/** Text in which each button's words are a link where they stand; `unused` are the buttons whose words do not. */
export function linkedText(text, buttons, press) {
  const nodes = [];
  const unused = [];
  let left = text;
  for (const button of buttons) {
    const at = button.text ? left.indexOf(button.text) : -1;
    if (at < 0) {
      unused.push(button);
      continue;
    }
    nodes.push(left.slice(0, at), h("button", { type: "button", class: "text-link", on: { click: () => press(button) } }, button.text));
    left = left.slice(at + button.text.length);
  }
  return { nodes: [h("span", { class: "said" }, ...nodes, left)], unused };
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
