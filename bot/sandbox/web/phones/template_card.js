// WeCom's template cards: notices, buttons to press, a choice to make.

import { h } from "../dom.js";
import { t } from "../i18n.js";

/** Draw a card from the product's payload; what can be pressed comes from the line's buttons. */
export function templateCard(payload, line, press) {
  const card = payload.template_card ?? payload;
  const chosen = {};
  const answer = (button) => press({ ...button, selected: Object.keys(chosen).length ? chosen : undefined });
  const emphasis = card.emphasis_content ?? {};
  return h(
    "div",
    { class: "wecom-card", data: { card: card.card_type ?? "" } },
    card.source?.desc && h("span", { class: "card-source" }, card.source.desc),
    h("strong", { class: "card-title" }, card.main_title?.title ?? line.text.split("\n")[0]),
    card.main_title?.desc && h("span", { class: "card-desc" }, card.main_title.desc),
    emphasis.title && h("div", { class: "card-emphasis" }, h("b", {}, emphasis.title), h("span", {}, emphasis.desc ?? "")),
    card.quote_area && h("blockquote", {}, card.quote_area.title && h("strong", {}, card.quote_area.title), card.quote_area.quote_text),
    card.sub_title_text && h("p", { class: "card-sub" }, card.sub_title_text),
    rows(card.horizontal_content_list ?? []),
    questions(card, chosen, line.state === "done"),
    h("div", { class: "card-buttons" }, line.buttons.map((button) => cardButton(button, card, answer, line.state === "done"))),
  );
}

function rows(list) {
  if (!list.length) return null;
  return h("dl", { class: "card-rows" }, list.map((row) => h("div", {}, h("dt", {}, row.keyname), h("dd", {}, row.value ?? ""))));
}

function questions(card, chosen, done) {
  const lists = [card.button_selection, ...(card.select_list ?? [])].filter(Boolean);
  const selects = lists.map((list) => selectOne(list, chosen, done));
  return card.checkbox ? [...selects, ballot(card.checkbox, chosen, done)] : selects;
}

function selectOne(list, chosen, done) {
  const options = (list.option_list ?? []).map((option) => h("option", { value: option.id }, option.text));
  const choose = (event) => (chosen[list.question_key] = [event.target.value]);
  const element = h("select", { disabled: done, on: { change: choose } }, options);
  if (list.selected_id) element.value = list.selected_id;
  chosen[list.question_key] = [element.value];
  return h("label", { class: "card-question" }, h("span", {}, list.title ?? t("line.choose")), element);
}

function ballot(list, chosen, done) {
  const kind = list.mode === 1 ? "checkbox" : "radio";
  const change = (event) => {
    const boxes = [...event.target.closest("fieldset").querySelectorAll("input")];
    chosen[list.question_key] = boxes.filter((box) => box.checked).map((box) => box.value);
  };
  const options = (list.option_list ?? []).map((option) =>
    h("label", {}, h("input", { type: kind, name: list.question_key, value: option.id, checked: Boolean(option.is_checked), disabled: done, on: { change } }), option.text));
  return h("fieldset", { class: "card-ballot" }, h("legend", {}, t("line.choose")), options);
}

function cardButton(button, card, answer, done) {
  const described = (card.button_list ?? []).find((one) => one.text === button.text);
  const style = String(described?.style ?? 1);
  return h("button", { type: "button", class: "card-button", data: { style }, disabled: done, on: { click: () => answer(button) } }, button.text);
}
