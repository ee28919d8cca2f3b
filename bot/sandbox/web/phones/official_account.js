// The official account (公众号) on the member's phone: follow, menu, text, QR scan.

import { button, fill, h } from "../dom.js";
import { duration, t } from "../i18n.js";
import { perform, pressLine } from "./acting.js";
import { createComposer } from "./composer.js";
import { avatar, chatBar, createPhone, emptyPhone, tool } from "./frame.js";
import { createMenu } from "./menu.js";
import { createNotices } from "./notices.js";
import { scanDialog } from "./scan.js";
import { createThread } from "./thread.js";

const CHANNEL = "wechat_oa";

/** The official account's phone. */
export function officialAccount(store) {
  const phone = createPhone(store, "oa");
  const name = () => store.channel(store.member, CHANNEL)?.name ?? t("phone.oa");
  const person = () => store.person(store.member);
  const go = (verb, body) => perform(store, store.member, `${CHANNEL}/${verb}`, body);
  const thread = createThread({
    label: t("phone.oa"),
    press: (line, pressed) => pressLine(store, store.member, line, pressed),
    nameOf: (line) => (line.from === "account" ? name() : (person()?.name ?? "")),
  });
  const notices = createNotices(store, phone, ["sms", "wecom"]);
  const foot = footOf(store, go);
  const room = h("div", { class: "chat-room" }, thread.element, foot.element);

  const bar = () => {
    const info = store.channel(store.member, CHANNEL);
    const tools = [notices.bell, tool("scan", t("scan.title"), () => scanDialog((scene) => go("scan", { scene })))];
    chatBar(phone, { name: name(), line: info?.following ? windowLine(info.window) : "", busy: store.isBusy(store.member, CHANNEL), tools });
  };
  const draw = () => {
    const info = store.channel(store.member, CHANNEL);
    phone.belongsTo(person()?.name);
    bar();
    if (!info || !person()) return fill(phone.body, emptyPhone(t(person() ? "phone.absent" : "phone.nobody")));
    const lines = store.lines(store.member, CHANNEL);
    if (!info.following && !lines.length) return fill(phone.body, profile(info.name, go));
    if (!room.isConnected) fill(phone.body, room);
    thread.show(lines);
    foot.show(info);
    return undefined;
  };
  store.on("people screen line reset", draw);
  store.on("busy", bar);
  draw();
  return { element: phone.element, focus: () => room.querySelector("input")?.focus(), shown: thread.toBottom };
}

function windowLine(window) {
  if (!window) return t("oa.window.none");
  return t("oa.window", { n: window.remaining, left: duration(window.expires_in_s) });
}

/** What somebody sees who does not follow the account yet. */
function profile(name, go) {
  return h(
    "div",
    { class: "profile" },
    avatar(name, "of-account large"),
    h("strong", {}, name),
    h("p", {}, t("oa.follow.intro")),
    button(t("oa.follow"), () => go("follow", {}), { kind: "primary wide", id: "oa-follow" }),
    button(t("oa.scan_poster"), () => scanDialog((scene) => go("scan", { scene })), { kind: "quiet wide" }),
  );
}

/** The lower part: menu or keyboard when following, the follow button when not. */
function footOf(store, go) {
  const element = h("div", { class: "chat-foot" });
  let writing = true;
  let menuShape = "";
  const turn = (toKeyboard) => {
    writing = toKeyboard;
    menuShape = "";
    show(store.channel(store.member, CHANNEL));
    element.querySelector(writing ? "input" : ".menu-button")?.focus();
  };
  const more = [
    ["picture", t("more.image"), () => go("send", { kind: "image" })],
    ["voice", t("more.voice"), () => go("send", { kind: "voice" })],
    ["pin", t("more.location"), () => go("send", { kind: "location" })],
    ["scan", t("more.scan"), () => scanDialog((scene) => go("scan", { scene }))],
    ["close", t("more.unfollow"), () => go("unfollow")],
  ];

  function show(info) {
    const shape = JSON.stringify([info.following, info.menu, writing]);
    if (shape === menuShape) return;
    menuShape = shape;
    if (!info.following) {
      fill(element, h("div", { class: "foot-follow" }, button(t("oa.follow"), () => go("follow", {}), { kind: "primary wide", id: "oa-follow" })));
    } else if (writing) {
      const lead = tool("menu", t("composer.menu"), () => turn(false));
      fill(element, createComposer({ say: (text) => go("say", { text }), chips: t("oa.chips").split("|"), more, lead }).element);
    } else {
      fill(element, createMenu(info.menu, (path) => go("menu", { path }), () => turn(true)));
    }
  }
  return { element, show };
}
