// XML and JSON in colour, as elements: nothing that came over the wire is ever parsed as markup.

import { h } from "../dom.js";

const XML = /(<!\[CDATA\[)([\s\S]*?)(\]\]>)|(<\/?)([\w:-]+)([^>]*)(>)|([^<]+)/g;
const JSON_TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)|([{}[\],:])|(\s+)/g;
const INDENT = "  ";

/** Coloured text; with `indent` laid out by structure first. */
export function highlighted(text, { indent = true } = {}) {
  const trimmed = text.trim();
  if (trimmed.startsWith("<")) return xml(indent ? laidOutXml(trimmed) : trimmed);
  if (trimmed.startsWith("{") || trimmed.startsWith("[")) return json(indent ? laidOutJson(trimmed) : trimmed);
  return [text];
}

function mark(kind, text) {
  return h("span", { class: `hl-${kind}` }, text);
}

function laidOutXml(text) {
  let depth = 0;
  const parts = text.match(/<!\[CDATA\[[\s\S]*?\]\]>|<\/[^>]+>|<[^>]+>|[^<]+/g) ?? [];
  let out = "";
  parts.forEach((part, index) => {
    const closing = part.startsWith("</");
    const opening = !closing && /^<[^!?]/.test(part) && !part.endsWith("/>");
    if (closing) depth -= 1;
    const leaf = closing && !/^<\//.test(parts[index - 1] ?? "</");
    const breakBefore = (opening || (closing && !leaf)) && index > 0;
    out += (breakBefore ? `\n${INDENT.repeat(Math.max(depth, 0))}` : "") + (part.trim() ? part : "");
    if (opening) depth += 1;
  });
  return out;
}

function laidOutJson(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, INDENT);
  } catch {
    return text;
  }
}

function xml(text) {
  const nodes = [];
  for (const [whole, open, data, shut, bracket, name, rest, end, plain] of text.matchAll(XML)) {
    if (open) nodes.push(mark("cdata", open), mark("string", data), mark("cdata", shut));
    else if (bracket) nodes.push(mark("dim", bracket), mark("name", name), rest, mark("dim", end));
    else nodes.push(plain ?? whole);
  }
  return nodes;
}

function json(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(JSON_TOKEN)) {
    if (match.index > at) nodes.push(text.slice(at, match.index));
    const [whole, string, colon, number, word, sign] = match;
    if (string) nodes.push(mark(colon ? "name" : "string", string), colon ?? "");
    else if (number || word) nodes.push(mark("number", whole));
    else nodes.push(sign ? mark("dim", sign) : whole);
    at = match.index + whole.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}
