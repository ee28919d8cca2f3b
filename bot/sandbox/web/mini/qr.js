// The product's QR picture, drawn again from its path only, so that nothing else of the document comes in.

import { svg } from "../dom.js";

/** An SVG element from the product's SVG text; null when it holds no path. */
export function qrPicture(text) {
  const source = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const path = source.querySelector("path:last-of-type");
  if (!path) return null;
  const box = source.getAttribute("viewBox") ?? `0 0 ${parseInt(source.getAttribute("width"), 10)} ${parseInt(source.getAttribute("height"), 10)}`;
  const shape = { d: path.getAttribute("d"), class: "qr-path" };
  const turned = path.getAttribute("transform");
  if (turned) shape.transform = turned;
  return svg("svg", { viewBox: box, class: "qr", role: "img", "shape-rendering": "crispEdges" }, svg("path", shape));
}
