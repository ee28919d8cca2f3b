// Small dialogs, on the browser's own modal: focus stays inside, Escape closes.

import { button, h } from "./dom.js";
import { t } from "./i18n.js";
import { tool } from "./phones/frame.js";

/** Show a dialog; `content(close)` builds what is inside. */
export function showDialog(title, content) {
  const dialog = h("dialog", { class: "dialog", "aria-label": title });
  const close = () => dialog.close();
  dialog.append(h("header", {}, h("h2", {}, title), tool("close", t("dialog.close"), close)), h("div", { class: "dialog-body" }, content(close)));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
}

/** Ask before doing something. */
export function ask(title, question, run) {
  showDialog(title, (close) => [
    h("p", {}, question),
    h("div", { class: "dialog-actions" }, button(t("dialog.cancel"), close), button(t("dialog.confirm"), () => { close(); run(); }, { kind: "primary" })),
  ]);
}
