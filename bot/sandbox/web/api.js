// Calls: the sandbox's control API, and the product's member API as a mini-program calls it.

const CONTROL = new URL("control/", document.baseURI);
const PRODUCT = new URL("../", document.baseURI);

/** An answer that is not 2xx. `code` is the stable code of the answer, `status` 0 means nobody answered. */
export class CallFailed extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function call(url, options) {
  let response;
  try {
    response = await fetch(url, { cache: "no-store", credentials: "omit", ...options });
  } catch {
    throw new CallFailed(0, "unreachable", "");
  }
  const type = response.headers.get("Content-Type") ?? "";
  const text = await response.text();
  const body = type.includes("json") && text ? JSON.parse(text) : text;
  if (response.ok) return body;
  throw new CallFailed(response.status, body.code ?? body.error ?? "", body.detail ?? body.message ?? body.title ?? "");
}

/** Read from the control API. */
export function read(path) {
  return call(new URL(path, CONTROL), {});
}

/** Write to the control API. */
export function write(path, body = {}, method = "POST") {
  const headers = { "Content-Type": "application/json" };
  return call(new URL(path, CONTROL), { method, headers, body: method === "DELETE" ? undefined : JSON.stringify(body) });
}

/** Act as a person; `verb` is `channel/verb`. The answer comes when the callback's round trip has finished. */
export function act(person, verb, body = {}) {
  return write(`people/${encodeURIComponent(person)}/act/${verb}`, body);
}

/** The live stream of lines, wire entries and world changes. */
export function stream() {
  return new EventSource(new URL("events", CONTROL));
}

/** Call the product's HTTP API. Writes carry a fresh idempotency key. */
export function product(method, path, { token = "", body, language = "zh-CN" } = {}) {
  const headers = { Accept: "application/json, image/svg+xml", "Accept-Language": language };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["Idempotency-Key"] = crypto.randomUUID();
  return call(new URL(path, PRODUCT), { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}
