// 页面上的字，两种语言 · the page's words in both languages

export const WORDS = {
  "zh-CN": {
    title: "API 文档", skip: "跳到正文", find: "查找接口", file: "openapi.json", contents: "目录", loading: "正在读取…",
    other: "English", send: "发送", sending: "发送中…", body: "请求体", parameters: "参数", answers: "回答", refusals: "可能的拒绝",
    name: "名称", where: "位置", required: "必填", meaning: "含义", yes: "是", no: "否", trial: "试一试", answered: "回答",
    tokens: "令牌（只留在这个页面里）", member: "会员会话", staff: "员工会话", partner: "伙伴密钥", fields: "字段", type: "类型",
    failed: "没有连上服务器", problems: "全部拒绝代码", code: "代码", status: "状态码", keyNote: "每次自动换新；想看重放就填同一个值",
    rules: "三条规则：写操作都带 Idempotency-Key，重试用同一个值就得到同一个回答；出错时看 code（稳定）和 detail（给人看）；金额是整数分，时间带时区。",
    empty: "没有匹配的接口",
  },
  en: {
    title: "API documentation", skip: "Skip to content", find: "Find an endpoint", file: "openapi.json", contents: "Contents", loading: "Loading…",
    other: "中文", send: "Send", sending: "Sending…", body: "Body", parameters: "Parameters", answers: "Answer", refusals: "Possible refusals",
    name: "Name", where: "In", required: "Required", meaning: "Meaning", yes: "yes", no: "no", trial: "Try it", answered: "Answered",
    tokens: "Tokens (they stay in this page)", member: "Member session", staff: "Staff session", partner: "Partner key", fields: "Fields", type: "Type",
    failed: "The server could not be reached", problems: "All refusal codes", code: "Code", status: "Status", keyNote: "New each time; enter one value twice to see a replay",
    rules: "Three rules: every write carries an Idempotency-Key, and a retry with the same value gets the same answer; on errors read code (stable) and detail (for people); money is integer fen, times carry their offset.",
    empty: "No endpoint matches",
  },
};

const KEY = "xiaohui.docs.language";

export function chosenLanguage() {
  const kept = localStorage.getItem(KEY);
  if (kept in WORDS) return kept;
  return navigator.language.toLowerCase().startsWith("zh") || !navigator.language ? "zh-CN" : "en";
}

export function keepLanguage(language) {
  localStorage.setItem(KEY, language);
}
