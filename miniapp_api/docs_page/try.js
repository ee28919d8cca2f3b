// 在页面里发出一个请求 · sends a request from the page

const tokens = { memberSession: "", staffSession: "", partnerKey: "" };

export function tokenBox(word, element) {
  const fields = [["memberSession", "member"], ["staffSession", "staff"], ["partnerKey", "partner"]].map(([scheme, name]) => {
    const input = element("input", { type: "password", autocomplete: "off", placeholder: word(name), "aria-label": word(name) });
    input.value = tokens[scheme];
    input.addEventListener("input", () => { tokens[scheme] = input.value.trim(); });
    return input;
  });
  const form = element("form", { className: "token" }, element("strong", { text: word("tokens") }), element("div", { className: "row" }, ...fields));
  form.addEventListener("submit", (event) => event.preventDefault());
  return form;
}

export function trialOf({ path, method, operation, parameters, example, word, element, language }) {
  const inputs = new Map();
  const form = element("form", { className: "try" });
  for (const parameter of parameters) {
    if (parameter.name === "Accept-Language") continue;
    const input = element("input", { autocomplete: "off" });
    if (parameter.name === "Idempotency-Key") input.placeholder = word("keyNote");
    inputs.set(parameter, input);
    form.append(element("label", {}, element("span", { text: parameter.name }), input));
  }
  const body = element("textarea", { spellcheck: "false", "aria-label": word("body") });
  if (example !== null) {
    body.value = JSON.stringify(example, null, 2);
    form.append(body);
  }
  const button = element("button", { className: "primary", type: "submit", text: word("send") });
  const verdict = element("output", { className: "verdict" });
  const shown = element("div");
  form.append(element("div", { className: "row" }, button, verdict), shown);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    button.textContent = word("sending");
    try {
      await send({ path, method, operation, inputs, body: example === null ? null : body.value, verdict, shown, element, language });
    } catch {
      verdict.className = "verdict bad";
      verdict.textContent = word("failed");
    }
    button.disabled = false;
    button.textContent = word("send");
  });
  return element("section", {}, element("h4", { text: word("trial") }), form);
}

async function send({ path, method, operation, inputs, body, verdict, shown, element, language }) {
  const headers = { "Accept-Language": language };
  const query = new URLSearchParams();
  let address = path;
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query" && input.value) query.set(parameter.name, input.value);
    else if (parameter.in === "header") headers[parameter.name] = input.value || crypto.randomUUID();
  }
  const scheme = (operation.security ?? []).flatMap(Object.keys).find((name) => tokens[name]);
  if (scheme) headers.Authorization = `Bearer ${tokens[scheme]}`;
  if (body !== null) headers["Content-Type"] = "application/json";
  const started = performance.now();
  const answer = await fetch(query.size ? `${address}?${query}` : address, {
    method: method.toUpperCase(), headers, body: body ?? undefined, redirect: "manual",
  });
  const elapsed = Math.round(performance.now() - started);
  verdict.className = answer.status >= 400 ? "verdict bad" : "verdict";
  verdict.textContent = `${answer.status || "→"} · ${elapsed} ms${answer.headers.get("Idempotent-Replayed") ? " · replayed" : ""}`;
  const text = await answer.text();
  const kind = answer.headers.get("Content-Type") ?? "";
  if (kind.startsWith("image/svg")) {
    const picture = element("img", { className: "picture", alt: "QR" });
    picture.src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    shown.replaceChildren(picture);
    return;
  }
  shown.replaceChildren(element("pre", { text: pretty(text) }));
  rememberSession(operation, text);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// 登录成功后，令牌直接用于后面的请求 · after a login its token serves the following requests
function rememberSession(operation, text) {
  if (!operation.operationId.startsWith("log_in")) return;
  try {
    const { token, audience } = JSON.parse(text);
    if (token) tokens[audience === "staff" ? "staffSession" : "memberSession"] = token;
  } catch { /* 不是会话 · not a session */ }
}
