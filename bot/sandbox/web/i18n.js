// The page's own words, Chinese first. What the phones show comes from the product and is not translated here.

import en from "./words/en.js";
import zh from "./words/zh.js";

const CATALOGUES = { "zh-CN": zh, en };
const REMEMBERED = "xiaohui.sandbox.language";

let language = remembered();

function remembered() {
  const stored = localStorage.getItem(REMEMBERED);
  return stored in CATALOGUES ? stored : "zh-CN";
}

/** The language in force: `zh-CN` or `en`. */
export function currentLanguage() {
  return language;
}

/** Change and remember the language; whoever shows words builds them again. */
export function useLanguage(next) {
  language = next;
  localStorage.setItem(REMEMBERED, next);
  document.documentElement.lang = next;
  document.title = t("page.title");
}

/** The words of a key, with `{name}` filled from `values`; the key itself when there are none. */
export function t(key, values = {}) {
  const words = CATALOGUES[language][key] ?? key;
  return words.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Whether the catalogue has that key. */
export function known(key) {
  return key in CATALOGUES[language];
}

/** Clock time of a moment given in seconds. */
export function clockTime(seconds, { withSeconds = false } = {}) {
  const options = { hour: "2-digit", minute: "2-digit", hour12: false };
  if (withSeconds) options.second = "2-digit";
  return new Intl.DateTimeFormat(language, options).format(new Date(seconds * 1000));
}

/** Day and time of a moment given in seconds; only the time when it is today. */
export function momentOf(seconds) {
  const date = new Date(seconds * 1000);
  if (date.toDateString() === new Date().toDateString()) return clockTime(seconds);
  return new Intl.DateTimeFormat(language, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false }).format(date);
}

/** A length of time in the largest unit that fits. */
export function duration(seconds) {
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return t(`unit.${unit}`, { n: Math.floor(seconds / size) });
  }
  return t("unit.second", { n: Math.max(0, Math.floor(seconds)) });
}
