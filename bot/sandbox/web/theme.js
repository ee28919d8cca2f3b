// Light, dark, or as the system says; remembered.

const REMEMBERED = "xiaohui.sandbox.theme";
const ORDER = ["auto", "light", "dark"];

/** The theme in force: `auto`, `light` or `dark`. */
export function currentTheme() {
  const stored = localStorage.getItem(REMEMBERED);
  return ORDER.includes(stored) ? stored : "auto";
}

/** Put the remembered theme on the page. */
export function applyTheme() {
  document.documentElement.dataset.theme = currentTheme();
}

/** Go on to the next theme and remember it. */
export function nextTheme() {
  localStorage.setItem(REMEMBERED, ORDER[(ORDER.indexOf(currentTheme()) + 1) % ORDER.length]);
  applyTheme();
  return currentTheme();
}
