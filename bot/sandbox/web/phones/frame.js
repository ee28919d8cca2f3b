// The outside of a phone: its title, status bar, the app's bar, and room for what the app shows.

import { h, fill } from "../dom.js";
import { clockTime, t } from "../i18n.js";
import { icon } from "../icons.js";

/** The first character of a name on a tile. */
export function avatar(name, kind = "") {
  return h("span", { class: `avatar ${kind}`.trim(), "aria-hidden": "true" }, [...(name || "·")][0]);
}

/** A phone. `key` names it in styles and tabs: `oa`, `mini`, `telegram` or `wecom`. */
export function createPhone(store, key) {
  const clock = h("span", { class: "status-time" });
  const who = h("small", { class: "device-who" });
  const bar = h("header", { class: "app-bar" });
  const body = h("div", { class: "phone-body" });
  const overlay = h("div", { class: "phone-overlay" });
  const element = h(
    "section",
    { class: "device", id: `phone-${key}`, data: { phone: key }, "aria-labelledby": `title-${key}`, tabindex: "-1" },
    h("h2", { class: "device-title", id: `title-${key}` }, h("span", { class: "device-dot" }), h("span", {}, t(`phone.${key}`)), who),
    h(
      "div",
      { class: "phone" },
      h("div", { class: "status-bar", "aria-hidden": "true" }, clock, h("span", { class: "status-pill" }), h("span", { class: "status-signs" })),
      bar,
      body,
      overlay,
    ),
  );
  const tick = () => fill(clock, clockTime(Date.now() / 1000 + (store.world?.offset_s ?? 0)));
  tick();
  store.every(10_000, tick);
  store.on("world", tick);
  return {
    element,
    body,
    overlay,
    belongsTo: (name) => fill(who, name ? t(`phone.${key}.who`, { name }) : ""),
    appBar: (...content) => fill(bar, ...content),
  };
}

/** The bar of a chat: who is on the other side, whether they are typing, and tools at the right. */
export function chatBar(phone, { name, line = "", busy = false, tools = [] }) {
  const below = busy ? h("span", { class: "app-typing" }, t("phone.typing")) : line;
  phone.appBar(
    avatar(name, "of-account"),
    h("div", { class: "app-name" }, h("strong", {}, name), below && h("span", { class: "app-line", "aria-live": "polite" }, below)),
    h("div", { class: "app-tools" }, tools),
  );
}

/** A small round tool with only an icon. */
export function tool(name, label, onPress, extra = {}) {
  return h("button", { type: "button", class: "tool", "aria-label": label, title: label, on: { click: onPress }, ...extra }, icon(name));
}

/** What stands in a phone that has nothing to show. */
export function emptyPhone(words) {
  return h("p", { class: "phone-empty" }, words);
}
