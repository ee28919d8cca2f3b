// The clerk's WeCom: find the customer by phone, number or scan, then press what the card offers.

import { button, fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { openThing, perform, pressLine } from "./acting.js";
import { createComposer } from "./composer.js";
import { chatBar, createPhone, emptyPhone, tool } from "./frame.js";
import { createMenu } from "./menu.js";
import { createThread } from "./thread.js";

const CHANNEL = "wecom";

/** The clerk's phone. `sessions` knows the member code that the mini-program shows. */
export function wecom(store, sessions) {
  const phone = createPhone(store, "wecom");
  const info = () => store.channel(store.staff, CHANNEL);
  const name = () => info()?.name ?? t("phone.wecom");
  const go = (verb, body) => perform(store, store.staff, `${CHANNEL}/${verb}`, body);
  const thread = createThread({
    label: t("phone.wecom"),
    press: (line, pressed) => pressLine(store, store.staff, line, pressed),
    nameOf: (line) => (line.from === "account" ? name() : (store.person(store.staff)?.name ?? "")),
    empty: h("p", { class: "phone-empty" }, t("wecom.empty")),
  });
  const waiting = h("div", { class: "waiting" });
  const scan = async () => {
    const code = await sessions.of(store.member).codeToScan();
    if (!code) return store.notice(t("wecom.scan.nocode"));
    store.notice(t("wecom.scan.done", { name: store.person(store.member)?.name ?? "" }));
    return scanned(info(), code, go);
  };
  const foot = footOf(store, go, scan);
  const room = h("div", { class: "chat-room" }, waiting, thread.element, foot.element);

  const bar = () => chatBar(phone, { name: name(), line: store.person(store.staff)?.wecom?.userid ?? "", busy: store.isBusy(store.staff, CHANNEL), tools: [tool("scan", t("wecom.scan"), scan)] });
  const draw = () => {
    phone.belongsTo(store.person(store.staff)?.name);
    bar();
    if (!info() || !store.person(store.staff)) return fill(phone.body, emptyPhone(t(info() ? "phone.nobody" : "phone.absent")));
    if (!room.isConnected) fill(phone.body, room);
    fill(waiting, (info().waiting ?? []).map((one) => waitingNote(one, go)));
    thread.show(store.lines(store.staff, CHANNEL));
    foot.show(info().menu);
    return undefined;
  };
  store.on("people screen line reset", draw);
  store.on("busy", bar);
  draw();
  return { element: phone.element, focus: () => room.querySelector("input")?.focus(), shown: thread.toBottom };
}

/** A scan reaches the product by the app menu's scan button when there is one, else as text from the camera. */
function scanned(info, code, go) {
  const entries = (info?.menu ?? []).flatMap((entry) => [entry, ...(entry.sub_button ?? [])]);
  const scanner = entries.find((entry) => entry.type === "scancode_waitmsg");
  return scanner ? go("scan", { key: scanner.key, result: code }) : go("say", { text: code });
}

/** The lower part: the keyboard, or the app's own menu. */
function footOf(store, go, scan) {
  const element = h("div", { class: "chat-foot" });
  let writing = true;
  let shape = "";
  const show = (menu) => {
    const wanted = JSON.stringify([writing, menu, store.member]);
    if (wanted === shape) return;
    shape = wanted;
    if (writing) fill(element, clerkComposer(store, go, scan, menu?.length > 0 && tool("menu", t("composer.menu"), () => turn(menu, false))));
    else fill(element, createMenu(menu, (path) => pressed(store, menu, path, go), () => turn(menu, true)));
  };
  const turn = (menu, toKeyboard) => {
    writing = toKeyboard;
    show(menu);
    element.querySelector(writing ? "input" : ".menu-button")?.focus();
  };
  return { element, show };
}

function pressed(store, menu, [first, second], go) {
  const entry = second === undefined ? menu[first] : menu[first].sub_button[second];
  return entry.key ? go("click", { key: entry.key }) : openThing(store, entry.url);
}

function clerkComposer(store, go, scan, lead) {
  const addCustomer = () => go("add_customer", { person: store.member, state: "store:sh-jingan" });
  const more = [
    ["scan", t("wecom.scan"), scan],
    ["person", t("wecom.add_customer", { name: store.person(store.member)?.name ?? "" }), addCustomer],
  ];
  const composer = createComposer({ say: (text) => go("say", { text }), chips: t("wecom.chips").split("|"), more, lead, placeholder: t("wecom.lookup") });
  const scanChip = h("button", { type: "button", class: "chip strong", id: "wecom-scan", on: { click: scan } }, icon("scan", 14), t("wecom.scan"));
  composer.element.querySelector(".chips").prepend(scanChip);
  return composer.element;
}

function waitingNote(one, go) {
  return h("div", { class: "waiting-note" }, h("span", {}, t("wecom.waiting", { text: one.text })), button(t("wecom.confirm"), () => go("confirm", { msgid: one.msgid }), { kind: "primary small" }));
}
