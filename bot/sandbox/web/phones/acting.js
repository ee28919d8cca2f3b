// Acts on a phone: what happens after a press, and what the page says when an act did not work.

import { t } from "../i18n.js";

/** Act as a person in a channel and tell what went wrong, if anything did. */
export async function perform(store, person, verb, body = {}) {
  const answer = await store.act(person, verb, body);
  if (answer?.delivery?.result === "none") store.notice(t("trouble.no_callback"));
  if (answer?.data?.open) openThing(store, answer.data.open);
  return answer;
}

/** Press a button of a line. */
export function pressLine(store, person, line, button) {
  const body = { line: line.id, button: button.id };
  if (button.selected) body.selected = button.selected;
  return perform(store, person, `${line.channel}/tap`, body);
}

/** Open what a button leads to: the sandbox's mini-program phone, or a new tab for an address. */
export function openThing(store, target) {
  const address = typeof target === "string" ? target : (target.url ?? target.value ?? target.page ?? "");
  if (/^https?:/.test(address)) {
    window.open(address, "_blank", "noopener");
    store.notice(t("line.opened", { url: address }));
  } else {
    store.tell("mini", { page: address });
    store.notice(t("line.open_mini", { page: address }));
  }
}
