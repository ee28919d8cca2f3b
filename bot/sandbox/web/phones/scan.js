// 扫一扫: choose a store poster, or type the scene that a QR code carries.

import { showDialog } from "../dialog.js";
import { button, h, svg } from "../dom.js";
import { t } from "../i18n.js";

/** Let the person scan a poster; `scan(scene)` is called with its scene. */
export function scanDialog(scan) {
  showDialog(t("scan.title"), (close) => {
    const take = (scene) => {
      close();
      scan(scene);
    };
    const posters = t("scan.posters").split("|").map((entry) => entry.split("="));
    const input = h("input", { type: "text", name: "scene", maxlength: "64", placeholder: "store:sh-jingan", "aria-label": t("scan.scene") });
    const submit = (event) => {
      event.preventDefault();
      if (input.value.trim()) take(input.value.trim());
    };
    return [
      h("p", {}, t("scan.intro")),
      h("div", { class: "posters" }, posters.map(([scene, name]) => poster(scene, name, take))),
      h("form", { class: "scan-form", on: { submit } }, input, button(t("scan.go"), () => {}, { kind: "primary", type: "submit" })),
    ];
  });
}

function poster(scene, name, take) {
  return h("button", { type: "button", class: "poster", on: { click: () => take(scene) } }, pattern(scene), h("span", {}, name), h("code", {}, scene));
}

/** A picture that looks like a QR code and differs by scene; the scan itself goes through the platform. */
function pattern(scene) {
  const cells = [];
  let seed = [...scene].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) >>> 0, 7);
  for (let index = 0; index < 81; index += 1) {
    seed = (seed * 1664525 + 1013904223) >>> 0;
    if (seed >>> 31) cells.push(`M${index % 9} ${Math.floor(index / 9)}h1v1h-1z`);
  }
  const corner = (x, y) => `M${x} ${y}h3v3h-3z`;
  const picture = svg("svg", { viewBox: "-1 -1 11 11", "aria-hidden": "true", class: "poster-code" });
  picture.append(svg("path", { d: cells.join("") }), ...[[0, 0], [6, 0], [0, 6]].map(([x, y]) => svg("path", { d: corner(x, y), class: "poster-eye" })));
  return picture;
}
