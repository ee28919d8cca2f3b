/** The page's words in both languages. */

export const WORDS = {
  "zh-CN": {
    title: "抽奖验证",
    language: "English",
    what: "在您的浏览器里，用公布的数据把某一天的每次抽奖重新算一遍。本页只下载公开记录，不上传任何东西。",
    draw: "抽奖编号", day: "日期", check: "开始验证", file: "或打开保存下来的记录文件",
    working: "正在计算……", sound: "全部一致：{count} 次抽奖逐一重算，结果、库存与记录链都对得上。",
    unsound: "发现 {count} 处不一致", secret: "这一天还没有结束（结束 10 分钟后公布种子）。已公布的承诺值：",
    absent: "没有找到这个抽奖或这一天。", broken: "这不是一份抽奖记录。", away: "现在读不到记录，请稍后再试。",
    mine: "我的那一次", serial: "凭证上的序号", none: "当天没有这个序号。", is: "第 {serial} 号：{prize}，随机数 {nonce}，重算一致",
    isNot: "第 {serial} 号与重算结果不一致", number: "序号", nonce: "随机数", rolled: "抽中数字", prize: "结果",
    first: "只显示前 {count} 条，全部 {all} 条都已验证。", how: "怎样验证的",
    steps: [
      "规则全文的 SHA-256 必须等于开始前公布的指纹，规则没有变过。",
      "种子的 SHA-256 必须等于开始前公布的承诺值，种子没有换过。",
      "每次抽奖的数字 = HMAC-SHA256(种子, “编号|日期|序号|随机数|次数”) 的前 8 字节，对总权重取余；会造成偏差的最后一段数字弃用，次数加一再算。",
      "数字落在哪个奖品的权重区间就是哪个奖品；已抽完的奖品按规则换成候补奖品。",
      "每条记录的链值 = SHA-256(上一条链值|序号|随机数|数字|结果)，您的凭证上也有它，任何人都改不了您那一条。",
    ],
  },
  en: {
    title: "Check a draw",
    language: "中文",
    what: "Your browser computes every draw of a day again from the published data. This page only downloads public records and uploads nothing.",
    draw: "Draw", day: "Day", check: "Check", file: "or open a record that you saved",
    working: "Computing…", sound: "All of it holds: {count} draws computed again; results, stock and the chain of records agree.",
    unsound: "{count} things do not hold", secret: "This day is not over yet (the seed is published 10 minutes after it). The commitment published before:",
    absent: "There is no such draw or day.", broken: "This is not a record of a draw.", away: "The records cannot be read now. Please try again later.",
    mine: "My own draw", serial: "Number on the receipt", none: "There was no such number that day.", is: "Number {serial}: {prize}, nonce {nonce}; it holds",
    isNot: "Number {serial} differs from what the seed says", number: "Number", nonce: "Nonce", rolled: "Drawn", prize: "Result",
    first: "The first {count} are shown; all {all} were checked.", how: "How it is checked",
    steps: [
      "The SHA-256 of the rules is the fingerprint published before the start: the rules did not change.",
      "The SHA-256 of the seed is the commitment published before the start: the seed did not change.",
      "Each number is the first 8 bytes of HMAC-SHA256(seed, \"draw|day|serial|nonce|attempt\") modulo the total weight; numbers of the last, incomplete round are thrown away and the attempt counts on.",
      "The prize is the one whose share holds the number; one that has run out is replaced by the fallback that the rules name.",
      "Each record's link is SHA-256(previous link|serial|nonce|number|result). Your receipt has it too: nobody can change your record.",
    ],
  },
};

/** @returns the locale to begin with */
export function preferred() {
  return navigator.language.startsWith("zh") ? "zh-CN" : "en";
}

/** `text` with its {places} filled. */
export function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_whole, name) => String(values[name]));
}
