// The Telegram chat on the member's phone.

import { button, fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { perform, pressLine } from "./acting.js";
import { createComposer } from "./composer.js";
import { avatar, chatBar, createPhone, emptyPhone, tool } from "./frame.js";
import { createThread } from "./thread.js";

const CHANNEL = "telegram";

/** The Telegram phone. */
export function telegram(store) {
  const phone = createPhone(store, "telegram");
  const info = () => store.channel(store.member, CHANNEL);
  const name = () => info()?.name ?? "Telegram";
  const go = (verb, body) => perform(store, store.member, `${CHANNEL}/${verb}`, body);
  const thread = createThread({
    label: t("phone.telegram"),
    press: (line, pressed) => pressLine(store, store.member, line, pressed),
    nameOf: (line) => (line.from === "account" ? name() : (store.person(store.member)?.name ?? "")),
  });
  const foot = h("div", { class: "chat-foot" });
  const room = h("div", { class: "chat-room" }, thread.element, foot);
  let shape = "";

  const bar = () => {
    const tools = info()?.started && !info().blocked ? [tool("close", t("more.block"), () => go("block"))] : [];
    chatBar(phone, { name: name(), line: info() ? `@${info().username}` : "", busy: store.isBusy(store.member, CHANNEL), tools });
  };
  const draw = () => {
    phone.belongsTo(store.person(store.member)?.name);
    bar();
    if (!info()) return fill(phone.body, emptyPhone(t("phone.absent")));
    const lines = store.lines(store.member, CHANNEL);
    if (!info().started && !lines.length) return fill(phone.body, welcome(name(), go));
    if (!room.isConnected) fill(phone.body, room);
    thread.show(lines);
    const next = JSON.stringify([info().started, info().blocked, info().commands]);
    if (next !== shape) fill(foot, footOf(info(), go));
    shape = next;
    return undefined;
  };
  store.on("people screen line reset", draw);
  store.on("busy", bar);
  draw();
  return { element: phone.element, focus: () => room.querySelector("input")?.focus(), shown: thread.toBottom };
}

function welcome(name, go) {
  return h(
    "div",
    { class: "profile" },
    avatar(name, "of-account large"),
    h("strong", {}, name),
    h("p", {}, t("telegram.start.intro")),
    button(t("telegram.start"), () => go("start", {}), { kind: "primary wide", id: "telegram-start" }),
  );
}

function footOf(info, go) {
  if (info.blocked) return h("div", { class: "foot-follow" }, h("p", {}, t("telegram.blocked")), button(t("telegram.unblock"), () => go("unblock"), { kind: "primary wide" }));
  if (!info.started) return h("div", { class: "foot-follow" }, button(t("telegram.start"), () => go("start", {}), { kind: "primary wide", id: "telegram-start" }));
  const commands = (info.commands ?? []).slice(0, 6).map((one) => `/${one.command}`);
  const chips = [...t("telegram.chips").split("|"), ...commands];
  const more = [["phone", t("more.contact"), () => go("share_contact", {})], ["close", t("more.block"), () => go("block")]];
  return createComposer({ say: (text) => go("say", { text }), chips, more }).element;
}
