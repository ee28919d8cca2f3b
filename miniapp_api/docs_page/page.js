// 从 /openapi.json 画出文档 · draws the documentation from /openapi.json
import { trialOf, tokenBox } from "./try.js";
import { WORDS, chosenLanguage, keepLanguage } from "./words.js";

let language = chosenLanguage();
let contract = null;
const word = (name) => WORDS[language][name];

export function element(tag, properties = {}, ...children) {
  const { className, text, ...attributes } = properties;
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function resolved(schema) {
  if (!schema?.$ref) return schema ?? {};
  return schema.$ref.split("/").slice(1).reduce((part, step) => part[step], contract);
}

function typeOf(schema) {
  const whole = resolved(schema);
  const other = whole.anyOf ?? whole.oneOf;
  if (other) return other.map(typeOf).join(" | ");
  if (whole.enum) return whole.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.type === "array") return `${typeOf(whole.items ?? whole.prefixItems?.[0])}[]`;
  return whole.format ? `${whole.type} (${whole.format})` : whole.title && whole.type === "object" ? whole.title : whole.type ?? "any";
}

function exampleOf(schema, depth = 0) {
  const whole = resolved(schema);
  if (whole.examples) return whole.examples[0];
  if (whole.default !== undefined) return whole.default;
  if (whole.const !== undefined) return whole.const;
  if (whole.enum) return whole.enum[0];
  if (whole.anyOf) return exampleOf(whole.anyOf[0], depth);
  if (whole.type === "object" && depth < 4) {
    return Object.fromEntries(Object.entries(whole.properties ?? {}).map(([name, part]) => [name, exampleOf(part, depth + 1)]));
  }
  if (whole.type === "array") return [];
  if (whole.type === "integer" || whole.type === "number") return whole.minimum ?? 1;
  if (whole.type === "boolean") return true;
  if (whole.type === "null") return null;
  if (whole.format === "date-time") return new Date().toISOString();
  if (whole.format === "date") return "1990-01-31";
  return "";
}

function table(heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { text, scope: "col" })));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell))));
  return element("div", { className: "wide" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

const code = (text) => element("code", { text });

function fieldsOf(schema) {
  const whole = resolved(schema);
  const required = new Set(whole.required ?? []);
  const rows = Object.entries(whole.properties ?? {}).map(([name, part]) => [
    code(name), code(typeOf(part)), required.has(name) ? word("yes") : word("no"),
  ]);
  return rows.length ? table([word("name"), word("type"), word("required")], rows) : element("p", { text: "–" });
}

function insideOf(path, method, operation) {
  const inside = element("div", { className: "inside" });
  const parameters = operation.parameters ?? [];
  const body = operation.requestBody?.content["application/json"].schema;
  inside.append(trialOf({ path, method, operation, parameters, example: body ? exampleOf(body) : null, word, element, language }));
  inside.append(
    element("h4", { text: word("parameters") }),
    table([word("name"), word("where"), word("required"), word("type")], parameters.map((parameter) => [
      code(parameter.name), parameter.in, parameter.required ? word("yes") : word("no"), code(typeOf(parameter.schema)),
    ])),
  );
  if (body) inside.append(element("h4", { text: word("body") }), fieldsOf(body));
  for (const [status, response] of Object.entries(operation.responses)) {
    if (Number(status) >= 400) continue;
    const schema = response.content?.["application/json"]?.schema;
    inside.append(element("h4", { text: `${word("answers")} ${status}` }));
    if (schema) inside.append(fieldsOf(schema));
  }
  const refusals = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400).flatMap(([status, response]) =>
    response.content["application/problem+json"].schema.allOf[1].properties.code.enum.map((name) => [
      status, element("a", { href: `#problem-${name}` }, code(name)), contract["x-problems"][name]?.[language]?.title ?? "",
    ]));
  inside.append(element("h4", { text: word("refusals") }), table([word("status"), word("code"), word("meaning")], refusals));
  return inside;
}

function summaryOf(operation) {
  return language === "zh-CN" ? operation["x-summary-zh-CN"] : operation.summary;
}

function half(bilingual, separator) {
  const [zh, en] = bilingual.split(separator);
  return (language === "zh-CN" ? zh : en ?? zh).trim();
}

function endpointOf(path, method, operation) {
  const summary = element("summary", {},
    element("span", { className: `method ${method}`, text: method.toUpperCase() }),
    element("span", { className: "path", text: path }),
    element("span", { className: "what", text: summaryOf(operation) }));
  const details = element("details", { className: "endpoint", id: operation.operationId }, summary);
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(insideOf(path, method, operation));
  });
  return details;
}

function matches(path, operation, asked) {
  return `${path} ${operation.summary} ${operation["x-summary-zh-CN"]} ${operation.operationId}`.toLowerCase().includes(asked);
}

function draw() {
  document.documentElement.lang = language;
  document.title = language === "zh-CN" ? "小惠 API" : "Xiaohui API";
  for (const spot of document.querySelectorAll("[data-word]")) spot.textContent = word(spot.dataset.word);
  document.querySelector("#language").textContent = word("other");
  document.querySelector("#find").placeholder = word("find");
  if (!contract) return;
  const main = document.querySelector("#main");
  const contents = document.querySelector("#contents");
  contents.replaceChildren(contents.querySelector("h2"));
  main.replaceChildren(element("p", { text: word("rules") }), tokenBox(word, element));
  const asked = document.querySelector("#find").value.trim().toLowerCase();
  for (const tag of contract.tags) drawTag(tag, asked, main, contents);
  if (!main.querySelector(".endpoint")) main.append(element("p", { text: word("empty") }));
  if (!asked) main.append(problemsSection());
}

function drawTag(tag, asked, main, contents) {
  const name = half(tag.name, "·");
  const section = element("section", {}, element("h2", { text: name }), element("p", { text: half(tag.description, "。 ") }));
  const links = [];
  for (const [path, methods] of Object.entries(contract.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (operation.tags[0] !== tag.name || !matches(path, operation, asked)) continue;
      section.append(endpointOf(path, method, operation));
      const link = element("a", { href: `#${operation.operationId}`, text: summaryOf(operation), title: path });
      link.addEventListener("click", () => { document.getElementById(operation.operationId).open = true; });
      links.push(link);
    }
  }
  if (!links.length) return;
  main.append(section);
  contents.append(element("h3", { text: name }), ...links);
}

function problemsSection() {
  const rows = Object.entries(contract["x-problems"]).map(([name, problem]) => [
    element("code", { id: `problem-${name}`, text: name }), String(problem.status), problem[language]?.detail ?? "",
  ]);
  return element("section", {}, element("h2", { text: word("problems") }), table([word("code"), word("status"), word("meaning")], rows));
}

document.querySelector("#language").addEventListener("click", () => {
  language = language === "zh-CN" ? "en" : "zh-CN";
  keepLanguage(language);
  draw();
});
document.querySelector("#find").addEventListener("input", draw);

draw();
const answer = await fetch("/openapi.json");
contract = await answer.json();
draw();
const aimed = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (aimed) {
  if (aimed.tagName === "DETAILS") aimed.open = true;
  aimed.scrollIntoView();
}
