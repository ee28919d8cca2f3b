/** Which day to check, the verdict, and the records with one's own among them. */

import { check } from "/draws/proof.js";
import { WORDS, filled, preferred } from "/draws/words.js";

const SHOWN = 200;
const at = (id) => document.getElementById(id);
let locale = preferred();
let checked = null;

function words(name, values = {}) {
  return filled(WORDS[locale][name], values);
}

function speak() {
  document.documentElement.lang = locale;
  document.title = `小惠 · ${words("title")}`;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = words(element.dataset.word);
  at("language").textContent = words("language");
  at("steps").replaceChildren(...WORDS[locale].steps.map((step) => node("li", step)));
  if (checked) show();
}

function node(tag, text = "", name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

function say(text, { bad = false, more = [] } = {}) {
  const box = node("div", "", bad ? "bad" : "");
  box.append(node("strong", text), ...more);
  at("verdict").replaceChildren(box);
}

async function load(draw, day) {
  try {
    const answer = await fetch(`/v1/draws/${encodeURIComponent(draw)}/days/${encodeURIComponent(day)}`);
    if (answer.status === 404) return { refused: "absent" };
    return answer.ok ? { published: await answer.json() } : { refused: "away" };
  } catch {
    return { refused: "away" };
  }
}

async function judge({ published, refused }) {
  checked = null;
  at("records").replaceChildren();
  at("mine").hidden = true;
  if (refused) return say(words(refused), { bad: true });
  if (published.seed === null) return say(words("secret"), { more: [node("code", published.commitment)] });
  say(words("working"));
  try {
    const findings = await check(published, (share) => say(`${words("working")} ${Math.round(100 * share)}%`));
    checked = { published, findings };
  } catch {
    return say(words("broken"), { bad: true });
  }
  return show();
}

function show() {
  const { published, findings } = checked;
  if (findings.length === 0) say(words("sound", { count: published.records.length }));
  else say(words("unsound", { count: findings.length }), { bad: true, more: findings.slice(0, 20).map(finding) });
  const wrong = new Set(findings.map((one) => one.serial));
  at("mine").hidden = published.records.length === 0;
  at("records").replaceChildren(...table(published.records, wrong));
  mine();
}

function finding({ what, serial, given, right }) {
  return node("div", serial ? `#${serial} ${what}: ${given} ≠ ${right}` : what);
}

function table(records, wrong) {
  if (records.length === 0) return [];
  const made = node("table");
  const head = node("tr");
  for (const [name, kind] of [["number", "number"], ["nonce", ""], ["rolled", "number"], ["prize", ""]]) head.append(node("th", words(name), kind));
  made.append(head);
  for (const record of records.slice(0, SHOWN)) {
    const row = node("tr", "", wrong.has(record.serial) ? "bad" : "");
    row.dataset.serial = record.serial;
    row.append(node("td", record.serial, "number"), node("td", record.nonce, "nonce"), node("td", record.rolled, "number"), node("td", record.prize));
    made.append(row);
  }
  const scroll = node("div", "", "scroll");
  scroll.append(made);
  const all = records.length;
  return all > SHOWN ? [scroll, node("p", words("first", { count: SHOWN, all }))] : [scroll];
}

function mine() {
  const serial = Number(at("serial").value);
  for (const row of document.querySelectorAll("tr.mine")) row.classList.remove("mine");
  at("found").textContent = "";
  if (!checked || !at("serial").value.trim()) return;
  const record = checked.published.records.find((one) => one.serial === serial);
  if (!record) { at("found").textContent = words("none"); return; }
  const holds = checked.findings.every((one) => one.serial !== serial);
  at("found").textContent = words(holds ? "is" : "isNot", record);
  document.querySelector(`tr[data-serial="${serial}"]`)?.classList.add("mine");
}

at("language").addEventListener("click", () => { locale = locale === "en" ? "zh-CN" : "en"; speak(); });
at("which").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [draw, day] = [at("draw").value.trim(), at("day").value];
  history.replaceState(null, "", `?${new URLSearchParams({ draw, day })}`);
  await judge(await load(draw, day));
});
at("file").addEventListener("change", async () => {
  const [file] = at("file").files;
  if (!file) return;
  try { await judge({ published: JSON.parse(await file.text()) }); } catch { say(words("broken"), { bad: true }); }
});
at("serial").addEventListener("input", mine);

speak();
const asked = new URLSearchParams(location.search);
at("draw").value = asked.get("draw") ?? "";
at("day").value = asked.get("day") ?? "";
if (asked.get("draw") && asked.get("day")) at("which").requestSubmit();
