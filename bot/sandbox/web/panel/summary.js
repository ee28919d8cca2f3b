// One line that says what an exchange was about, read from its clear text.

const FIELD = /<(MsgType|Event|EventKey|Content|ChangeType)>(?:<!\[CDATA\[([\s\S]*?)\]\]>|([^<]*))<\/\1>/g;
const LONGEST = 60;

/** What was asked, and after an arrow what was answered. */
export function summaryOf(entry) {
  if (entry.kind === "api") return apiSummary(entry);
  const asked = brief(entry.request.clear || entry.request.raw) || entry.api;
  const answered = brief(entry.response.clear);
  return answered ? `${asked} → ${answered}` : asked;
}

function apiSummary(entry) {
  const words = brief(entry.request.clear || entry.request.raw);
  return words ? `${entry.api} · ${words}` : entry.api;
}

function brief(text) {
  if (!text) return "";
  const value = text.trimStart().startsWith("{") ? fromJson(text) : fromXml(text);
  const oneLine = value.replace(/<[^>]+>/g, "").replace(/\s+/g, " ").trim();
  return oneLine.length > LONGEST ? `${oneLine.slice(0, LONGEST)}…` : oneLine;
}

function fromXml(text) {
  const fields = {};
  for (const [, name, quoted, bare] of text.matchAll(FIELD)) fields[name] ??= quoted ?? bare ?? "";
  return named(fields);
}

function fromJson(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return "";
  }
  if (value.MsgType) return named(value);
  const update = value.message ?? value.edited_message;
  if (update?.text) return `「${update.text}」`;
  if (value.callback_query) return `callback_query ${value.callback_query.data ?? ""}`;
  if (value.my_chat_member) return `my_chat_member ${value.my_chat_member.new_chat_member?.status ?? ""}`;
  const content = value.text?.content ?? value.text ?? value.template_card?.main_title?.title ?? value.markdown?.content ?? value.template_id ?? "";
  return typeof content === "string" && content ? `「${content}」` : "";
}

function named({ MsgType, Event, EventKey, Content, ChangeType }) {
  if (MsgType === "event") return [Event, ChangeType, EventKey].filter(Boolean).join(" ");
  return Content ? `「${Content}」` : (MsgType ?? "");
}
