// Opens the page: reads what the sandbox knows, builds the phones, and builds again when the language changes.

import { h, fill } from "./dom.js";
import { currentLanguage, t, useLanguage } from "./i18n.js";
import { MiniSessions } from "./mini/session.js";
import { buildPage } from "./page.js";
import { Store } from "./store.js";
import { applyTheme } from "./theme.js";

const RETRY_MS = 1500;

async function open(store, app) {
  try {
    await store.open();
  } catch {
    fill(app, h("p", { class: "boot", role: "alert" }, t("connection.lost")));
    setTimeout(() => open(store, app), RETRY_MS);
    return;
  }
  const sessions = new MiniSessions(store);
  const build = () => buildPage(app, store, sessions, (language) => {
    useLanguage(language);
    build();
    document.getElementById("language").focus();
    sessions.of(store.member).refresh().catch(() => {});
  });
  build();
}

applyTheme();
useLanguage(currentLanguage());
open(new Store(), document.getElementById("app"));
