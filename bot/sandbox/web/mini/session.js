// The mini-program's side of the member API: wx.login, a bearer token, and what the pages show.

import { CallFailed, product } from "../api.js";
import { settled } from "../dom.js";
import { currentLanguage, t } from "../i18n.js";

const REMEMBERED = "xiaohui.sandbox.mini.open";
const CODE_MARGIN_S = 2;
const BUSINESS_ZONE = "Asia/Shanghai";

/** One session per member, kept while the page is open. */
export class MiniSessions {
  constructor(store) {
    this.store = store;
    this._sessions = new Map();
    const later = settled(() => this.of(store.member).refresh(), 500);
    store.addEventListener("line", ({ detail }) => {
      if (detail.line.from !== "person" && this.of(store.member).token) later();
    });
    store.addEventListener("reset", () => this._sessions.clear());
  }

  /** The session of a member, opened or not. */
  of(person) {
    if (!this._sessions.has(person)) this._sessions.set(person, new MiniSession(this.store, person));
    return this._sessions.get(person);
  }
}

/** What one member's mini-program knows. `state`: `closed`, `opening`, `open` or `failed`. */
class MiniSession {
  constructor(store, person) {
    this.store = store;
    this.person = person;
    this.token = "";
    this.state = "closed";
    this.trouble = "";
    this.page = "card";
    this.me = null;
    this.standing = null;
    this.claimable = [];
    this.coupons = [];
    this.movements = [];
    this.code = null;
  }

  /** Whether it was open when the page was last closed. */
  get wasOpen() {
    return (sessionStorage.getItem(REMEMBERED) ?? "").split(" ").includes(this.person);
  }

  _remember(open) {
    const people = (sessionStorage.getItem(REMEMBERED) ?? "").split(" ").filter((id) => id && id !== this.person);
    sessionStorage.setItem(REMEMBERED, [...people, ...(open ? [this.person] : [])].join(" "));
  }

  _changed() {
    this.store.tell("mini-session", { person: this.person });
  }

  /** Log in by wx.login and read what the first page shows. */
  async open() {
    this.state = "opening";
    this._changed();
    try {
      await this._login();
      this.state = "open";
      this._remember(true);
      await this.refresh();
    } catch (error) {
      this.state = "failed";
      this.trouble = wordsOf(error);
    }
    this._changed();
  }

  close() {
    this.state = "closed";
    this.token = "";
    this.code = null;
    this._remember(false);
    this._changed();
  }

  /** The platform account this mini-program belongs to. */
  get account() {
    return this.store.channel(this.person, "wechat_mini")?.account ?? "main";
  }

  async _login() {
    const account = this.account;
    const login = await this.store.act(this.person, "wechat_mini/login", { account });
    if (!login) throw new CallFailed(0, "unreachable", "");
    const session = await product("POST", "v1/sessions/mini-program", { body: { account, code: login.data.code } });
    this.token = session.token;
  }

  /** Call the member API; an expired session logs in again once. */
  async call(method, path, body) {
    const options = { token: this.token, body, language: currentLanguage() };
    try {
      return await product(method, path, options);
    } catch (error) {
      if (error.status !== 401) throw error;
      await this._login();
      return product(method, path, { ...options, token: this.token });
    }
  }

  /** Read again what the pages show; parts that fail stay as they were. */
  async refresh() {
    if (!this.token) return;
    const parts = [
      this.call("GET", "v1/me").then((me) => (this.me = me)),
      this.call("GET", "v1/me/tier").then((standing) => (this.standing = standing)),
      this.call("GET", "v1/me/coupons").then((answer) => (this.coupons = answer.items)),
      this.call("GET", "v1/coupons/claimable").then((answer) => (this.claimable = answer.items)),
      this.call("GET", "v1/me/points?limit=20").then((answer) => (this.movements = answer.items)),
    ];
    const outcomes = await Promise.allSettled(parts);
    const broken = outcomes.find((outcome) => outcome.status === "rejected");
    if (broken && !this.me) throw broken.reason;
    this._changed();
  }

  /** Do something that changes the member, then read again. Answers null when it was refused, after saying why. */
  async do(method, path, body = {}) {
    try {
      const answer = await this.call(method, path, body);
      await this.refresh();
      return answer;
    } catch (error) {
      this.store.notice(wordsOf(error));
      return null;
    }
  }

  /** The member code on show: digits, its picture, and when it ends. */
  async readCode() {
    const [code, picture] = await Promise.all([this.call("GET", "v1/me/code"), this.call("GET", "v1/me/code.svg").catch(() => "")]);
    this.code = { code: code.code, picture, until: Date.now() / 1000 + code.expires_in_s };
    return this.code;
  }

  /** The code a clerk would scan now: the one on show, or a fresh one when the mini-program is open. */
  async codeToScan() {
    if (this.state !== "open") return "";
    if (!this.code || this.code.until - Date.now() / 1000 < CODE_MARGIN_S) await this.readCode().catch(() => null);
    return this.code?.code ?? "";
  }

  /** The day today's check-in is filed under, when the statement shows one. */
  get checkedInToday() {
    const today = new Intl.DateTimeFormat("en-CA", { timeZone: BUSINESS_ZONE }).format(new Date(Date.now() + (this.store.world?.offset_s ?? 0) * 1000));
    return this.movements.some((one) => one.kind === "check_in" && one.reason.day === today);
  }

  /** The member's birthday as `YYYY-MM-DD`, or empty. */
  async birthday() {
    if (!this.me?.has_birthday) return "";
    return birthdayIn(await this.call("GET", "v1/me/data")) ?? "";
  }

  /** Whether any coupon of the member has been redeemed. */
  get redeemed() {
    return this.coupons.some((coupon) => coupon.status === "redeemed");
  }
}

function birthdayIn(data) {
  if (typeof data !== "object" || data === null) return undefined;
  if (typeof data.birthday === "string") return data.birthday;
  return Object.values(data).map(birthdayIn).find(Boolean);
}

/** Why a call failed, in words for the reader. */
export function wordsOf(error) {
  if (error.status === 404 && !error.code) return t("mini.not_ready");
  if (error.code === "unreachable") return t("trouble.unreachable");
  return error.message || t("trouble.failed", { why: error.code || error.status });
}
