// What the page knows: people, their screens, the wire. Components listen here and never talk to each other.

import { act, CallFailed, read, stream, write } from "./api.js";
import { settled } from "./dom.js";

const CHOSEN = "xiaohui.sandbox.people";
const WIRE_KEPT = 300;
const LISTEN_AGAIN_MS = 2000;

function emptyScreen() {
  return { next: 0, channels: {}, lines: new Map() };
}

/** Events: `people`, `screen` {person}, `line` {person, line}, `wire` {entry?}, `world`, `connection`, `busy` {person, channel}, `notice` {text}, `trouble` {error}, `reset`. */
export class Store extends EventTarget {
  constructor() {
    super();
    this.people = [];
    this.member = "";
    this.staff = "";
    this.screens = new Map();
    this.wire = [];
    this.world = null;
    this.faults = [];
    this.connected = true;
    this.busy = new Map();
    this._readLater = new Map();
    this._worldLater = settled(() => this.readWorld().catch(() => {}), 300);
  }

  tell(kind, detail = {}) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  /** Forget the listeners and timers of the page that was shown before. */
  beginPage() {
    this._page?.abort();
    this._page = new AbortController();
  }

  /** Listen until the page is built again. */
  on(kinds, listener) {
    for (const kind of kinds.split(" ")) {
      this.addEventListener(kind, (event) => listener(event.detail), { signal: this._page.signal });
    }
  }

  /** Run every `ms` milliseconds until the page is built again. */
  every(ms, run) {
    const timer = setInterval(run, ms);
    this._page.signal.addEventListener("abort", () => clearInterval(timer));
  }

  /** Say something in passing. */
  notice(text) {
    this.tell("notice", { text });
  }

  /** Read everything once, then stay up to date by the stream. */
  async open() {
    await this.readPeople();
    await this.refresh();
    this._listen();
  }

  async refresh() {
    await Promise.all([this.readScreen(this.member), this.readScreen(this.staff), this.readWire(), this.readWorld()]);
  }

  async readPeople() {
    this.people = (await read("people")).people;
    const wanted = JSON.parse(localStorage.getItem(CHOSEN) ?? "{}");
    this.member = this._pick(wanted.member, (person) => person.kind !== "staff");
    this.staff = this._pick(wanted.staff, (person) => person.kind === "staff");
    this.tell("people");
  }

  _pick(wanted, fits) {
    const fitting = this.people.filter(fits);
    return (fitting.find((person) => person.id === wanted) ?? fitting[0])?.id ?? "";
  }

  person(id) {
    return this.people.find((person) => person.id === id);
  }

  screen(id) {
    if (!this.screens.has(id)) this.screens.set(id, emptyScreen());
    return this.screens.get(id);
  }

  /** What a person has in a channel: the first account of it, or null. */
  channel(id, channel) {
    const [[account, info] = []] = Object.entries(this.screen(id).channels[channel] ?? {});
    return account === undefined ? null : { account, ...info };
  }

  /** Lines of one channel in screen order. */
  lines(id, ...channels) {
    return [...this.screen(id).lines.values()].filter((line) => channels.includes(line.channel)).sort((a, b) => a.id - b.id);
  }

  async choose(part) {
    Object.assign(this, part);
    localStorage.setItem(CHOSEN, JSON.stringify({ member: this.member, staff: this.staff }));
    await Promise.all(Object.values(part).map((id) => this.readScreen(id)));
    this.tell("people");
  }

  async addMember(name) {
    const person = await write("people", { name, phone: `+86138${String(Date.now()).slice(-8)}` });
    await this.readPeople();
    await this.choose({ member: person.id });
  }

  async readScreen(id) {
    if (!id) return;
    const screen = this.screen(id);
    const answer = await read(`people/${encodeURIComponent(id)}/screen?since=${screen.next}`);
    // Answers may overtake each other; an older one still brings its lines, but not an older state.
    if (answer.next >= screen.next) Object.assign(screen, { next: answer.next, channels: answer.channels });
    for (const line of answer.lines) if ((screen.lines.get(line.id)?.rev ?? 0) <= line.rev) screen.lines.set(line.id, line);
    this.tell("screen", { person: id });
  }

  async readWire() {
    this.wire = (await read(`wire?since=0&limit=${WIRE_KEPT}`)).entries;
    this.tell("wire");
  }

  async readWorld() {
    [this.world, this.faults] = await Promise.all([read("state"), read("faults").then((answer) => answer.faults ?? answer)]);
    this.tell("world");
  }

  /** Act as a person; the phone shows that somebody is typing until the round trip has finished. */
  async act(person, verb, body = {}) {
    const channel = verb.split("/")[0];
    const key = `${person} ${channel}`;
    this._count(key, person, channel, 1);
    try {
      return await act(person, verb, body);
    } catch (error) {
      this.tell("trouble", { error: error instanceof CallFailed ? error : new CallFailed(0, "", String(error)) });
      return null;
    } finally {
      this._count(key, person, channel, -1);
      this.readScreen(person).catch(() => {});
      this._worldLater();
    }
  }

  _count(key, person, channel, step) {
    this.busy.set(key, (this.busy.get(key) ?? 0) + step);
    this.tell("busy", { person, channel });
  }

  isBusy(person, channel) {
    return (this.busy.get(`${person} ${channel}`) ?? 0) > 0;
  }

  async resetWorld() {
    await write("reset", {});
    await this._startAgain();
  }

  async _startAgain() {
    this.screens.clear();
    await this.readPeople();
    await this.refresh();
    this.tell("reset");
  }

  _listen() {
    const events = stream();
    events.addEventListener("line", (event) => this._line(JSON.parse(event.data)));
    events.addEventListener("wire", (event) => this._wire(JSON.parse(event.data)));
    events.addEventListener("world", (event) => this._world(JSON.parse(event.data)));
    events.addEventListener("open", () => this._connection(true));
    events.addEventListener("error", () => {
      this._connection(false);
      // A refused answer ends the stream for good, unlike a lost connection, which the browser tries again by itself.
      if (events.readyState === EventSource.CLOSED) setTimeout(() => this._listen(), LISTEN_AGAIN_MS);
    });
  }

  _connection(connected) {
    const back = connected && !this.connected;
    this.connected = connected;
    this.tell("connection");
    if (back) this._startAgain().catch(() => {});
  }

  _line({ person, line }) {
    const known = this.screen(person).lines.get(line.id);
    if (known && known.rev >= line.rev) return;
    this.screen(person).lines.set(line.id, line);
    this.tell("line", { person, line, isNew: !known });
    this._readSoon(person);
  }

  _readSoon(person) {
    if (person !== this.member && person !== this.staff) return;
    if (!this._readLater.has(person)) this._readLater.set(person, settled(() => this.readScreen(person).catch(() => {}), 250));
    this._readLater.get(person)();
  }

  _wire(entry) {
    if (this.wire.some((known) => known.id === entry.id)) return;
    this.wire.push(entry);
    if (this.wire.length > WIRE_KEPT) this.wire.shift();
    this.tell("wire", { entry });
    this._worldLater();
  }

  _world({ what, person }) {
    if (what === "reset") this._startAgain().catch(() => {});
    else if (what === "people") this.readPeople().catch(() => {});
    else {
      if (person) this._readSoon(person);
      else for (const id of [this.member, this.staff]) this._readSoon(id);
      this._worldLater();
    }
  }
}
