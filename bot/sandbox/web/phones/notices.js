// Notices that arrive beside the chat: 服务通知 and text messages, behind a bell with a red badge.

import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { pressLine } from "./acting.js";
import { tool } from "./frame.js";
import { createThread } from "./thread.js";

const BANNER_MS = 9000;

/** A bell for the phone's bar; its sheet covers the phone. `channels` are what it collects. */
export function createNotices(store, phone, channels) {
  let seen = newest(store, channels);
  const badge = h("span", { class: "badge" });
  const bell = h("button", { type: "button", class: "tool bell", on: { click: () => openSheet() } }, icon("bell"), badge);
  const lines = () => store.lines(store.member, ...channels).filter((line) => line.from === "account");
  const thread = createThread({
    label: t("notices.title"),
    press: (line, button) => pressLine(store, store.member, line, button),
    nameOf: sourceOf,
    empty: h("p", { class: "phone-empty" }, t("notices.none")),
  });

  function openSheet() {
    const close = () => fill(phone.overlay);
    fill(phone.overlay, h("div", { class: "sheet" }, h("header", {}, h("strong", {}, t("notices.title")), tool("close", t("dialog.close"), close)), thread.element));
    thread.show(lines());
    seen = newest(store, channels);
    count();
  }

  function count() {
    const unread = lines().filter((line) => line.id > seen).length;
    fill(badge, unread ? String(unread) : "");
    badge.hidden = !unread;
    bell.setAttribute("aria-label", t("notices.label", { n: unread }));
    bell.title = t("notices.title");
  }

  function banner(line) {
    const note = h("button", { type: "button", class: "banner", on: { click: () => { note.remove(); openSheet(); } } },
      h("strong", {}, sourceOf(line)), h("span", {}, line.text));
    phone.overlay.append(note);
    setTimeout(() => note.remove(), BANNER_MS);
  }

  store.on("line", ({ person, line, isNew }) => {
    if (person !== store.member || !channels.includes(line.channel) || line.from !== "account") return;
    if (thread.element.isConnected) thread.show(lines());
    else if (isNew) banner(line);
    count();
  });
  store.on("people reset", () => {
    seen = newest(store, channels);
    fill(phone.overlay);
    count();
  });
  count();
  return { bell };
}

function sourceOf(line) {
  return t(`notices.${{ sms: "sms", wecom: "staff" }[line.channel] ?? "service"}`);
}

function newest(store, channels) {
  return store.lines(store.member, ...channels).at(-1)?.id ?? 0;
}
