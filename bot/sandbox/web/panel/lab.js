// Trouble on purpose: faults, the platforms' clock, and the consoles' verification button.

import { write } from "../api.js";
import { button, fill, h } from "../dom.js";
import { duration, momentOf, t } from "../i18n.js";

const DAY_S = 86_400;
const MORNING_HOUR = 9;
const STEPS = [["minute", 60], ["hour", 3600], ["day", DAY_S]];
const PLATFORMS = ["*", "wechat", "wecom", "telegram", "sms"];
const FAULTS = [
  { key: "slow", api: "*", kind: "slow", value: 3000 },
  { key: "http", api: "*", kind: "http", value: 503 },
  { key: "reset", api: "*", kind: "reset" },
  { key: "drop_answer", api: "*", kind: "drop_answer" },
  { key: "quota", api: "*", kind: "quota" },
  { key: "token_revoked", api: "*", kind: "token_revoked" },
  { key: "duplicate", api: "callback", kind: "duplicate" },
  { key: "reorder", api: "callback", kind: "reorder" },
  { key: "lost_reply", api: "callback", kind: "drop_answer" },
];
const VERIFIED = ["wechat_oa", "wechat_mini", "wecom"];

/** Faults, clock and verification, side by side. */
export function createLab(store, sessions) {
  const faults = h("section", { class: "lab-block lab-faults" });
  const clock = h("section", { class: "lab-block" });
  let platform = "*";
  const select = h("select", { id: "fault-platform", on: { change: () => { platform = select.value; draw(); } } }, PLATFORMS.map((one) => h("option", { value: one }, t(`lab.platform.${one === "*" ? "any" : one}`))));
  const attempt = (work) => work().then(() => store.readWorld()).catch((error) => store.tell("trouble", { error }));
  const draw = () => {
    const focused = document.activeElement?.dataset?.fault;
    fill(faults, faultsTop(store, select, attempt), h("div", { class: "faults" }, FAULTS.map((fault) => faultSwitch(store, fault, platform, attempt))));
    fill(clock, clockBlock(store, sessions, attempt));
    if (focused) faults.querySelector(`[data-fault="${focused}"]`)?.focus();
  };
  store.on("world people", draw);
  draw();
  return { element: h("div", { class: "lab" }, faults, clock, verifyBlock(store)) };
}

function faultsTop(store, select, attempt) {
  return h(
    "header",
    {},
    h("h3", {}, t("lab.faults")),
    h("p", {}, t("lab.faults.intro")),
    h("label", { class: "picker" }, h("span", {}, t("lab.platform")), select),
    store.faults.length > 0 && button(t("lab.clear"), () => attempt(() => write("faults", {}, "DELETE")), { kind: "small" }),
  );
}

function faultSwitch(store, fault, platform, attempt) {
  const on = store.faults.find((one) => one.kind === fault.kind && one.platform === platform && (one.api === "callback") === (fault.api === "callback"));
  const flip = () => attempt(() => (on ? write(`faults/${on.id}`, {}, "DELETE") : write("faults", { platform, api: fault.api, kind: fault.kind, value: fault.value })));
  return h(
    "button",
    { type: "button", class: "fault", role: "switch", "aria-checked": String(Boolean(on)), data: { fault: fault.key }, on: { click: flip } },
    h("span", { class: "switch", "aria-hidden": "true" }),
    h("span", { class: "fault-words" }, h("strong", {}, t(`fault.${fault.key}`)), h("small", {}, t(`fault.${fault.key}.what`))),
  );
}

function clockBlock(store, sessions, attempt) {
  const ahead = store.world?.offset_s ?? 0;
  const advance = (seconds) => attempt(() => write("clock", { advance_s: seconds }));
  return [
    h("header", {}, h("h3", {}, t("lab.clock")), h("p", {}, t("lab.clock.intro"))),
    h("p", { class: "clock-now" }, h("b", {}, momentOf(Date.now() / 1000 + ahead)), h("span", {}, ahead >= 1 ? t("lab.clock.ahead", { span: duration(ahead) }) : t("lab.clock.real"))),
    h("div", { class: "clock-steps" }, STEPS.map(([key, seconds]) => button(t(`lab.clock.${key}`), () => advance(seconds), { kind: "small", "data-step": key })), birthdayStep(store, sessions, advance)),
  ];
}

/** A step to the morning of the member's next birthday, when the mini-program knows it. */
function birthdayStep(store, sessions, advance) {
  const name = store.person(store.member)?.name ?? "";
  const go = async () => {
    const birthday = await sessions.of(store.member).birthday().catch(() => "");
    if (birthday) advance(secondsUntil(birthday, Date.now() + (store.world?.offset_s ?? 0) * 1000));
    else store.notice(t("lab.clock.birthday.none", { name }));
  };
  return button(t("lab.clock.birthday", { name }), go, { kind: "small", "data-step": "birthday" });
}

function secondsUntil(birthday, now) {
  const [, month, day] = birthday.split("-").map(Number);
  const next = new Date(now);
  next.setMonth(month - 1, day);
  next.setHours(MORNING_HOUR, 0, 0, 0);
  if (next.getTime() <= now) next.setFullYear(next.getFullYear() + 1);
  return Math.round((next.getTime() - now) / 1000);
}

function verifyBlock(store) {
  const answers = h("p", { class: "verify-answers", role: "status" });
  const verify = async (channel) => {
    const answer = await write("verify", { channel }).catch((error) => ({ passed: false, status: error.message || error.status }));
    fill(answers, t(answer.passed ? "lab.verify.passed" : "lab.verify.failed", { channel: t(`filter.${channel}`), status: answer.status }));
  };
  return h(
    "section",
    { class: "lab-block" },
    h("header", {}, h("h3", {}, t("lab.verify")), h("p", {}, t("lab.verify.intro"))),
    h("div", { class: "clock-steps" }, VERIFIED.map((channel) => button(t("lab.verify.go", { channel: t(`filter.${channel}`) }), () => verify(channel), { kind: "small" }))),
    answers,
  );
}
