// The list of exchanges, newest first; each opens into its letters.

import { button, h } from "../dom.js";
import { t } from "../i18n.js";
import { createExchange } from "./exchange.js";

const FILTERS = ["all", "wechat_oa", "wechat_mini", "wecom", "telegram", "sms"];

/** The list, and the filter that stands in the panel's top row. */
export function createTraffic(store) {
  let filter = "all";
  let after = 0;
  const rows = new Map();
  const list = h("ol", { class: "exchanges", "aria-label": t("panel.wire") });
  const empty = h("p", { class: "panel-empty" }, t("wire.empty"));
  const element = h("div", { class: "traffic" }, empty, list);
  const select = h("select", { "aria-label": t("panel.filter"), id: "wire-filter", on: { change: () => { filter = select.value; draw(); } } }, FILTERS.map((key) => h("option", { value: key }, t(`filter.${key}`))));
  const clear = button(t("panel.clear"), () => {
    after = store.wire.at(-1)?.id ?? 0;
    draw();
  }, { kind: "quiet small" });

  const fits = (entry) => entry.id > after && (filter === "all" || entry.platform === filter);
  const rowOf = (entry) => {
    if (!rows.has(entry.id)) rows.set(entry.id, createExchange(store, entry));
    return rows.get(entry.id);
  };
  function draw() {
    const shown = store.wire.filter(fits).sort((a, b) => b.id - a.id);
    list.replaceChildren(...shown.map(rowOf));
    empty.hidden = shown.length > 0;
  }
  store.on("wire", ({ entry }) => {
    if (!entry) {
      rows.clear();
      return draw();
    }
    if (fits(entry)) list.prepend(rowOf(entry));
    empty.hidden = list.childElementCount > 0;
    return undefined;
  });
  draw();
  return { element, tools: h("div", { class: "panel-tools" }, select, clear) };
}
