// Text whose contrast with what lies behind it is below 4.5 : 1 (WCAG AA). Pictures and gradients are left out.
() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none") return null;
      const colour = rgba(style.backgroundColor);
      if (colour[3] === 255) return colour;
      if (colour[3] > 0) return null;
    }
    return rgba("white");
  };
  const contrast = (element, back) => {
    const [more, less] = [light(rgba(getComputedStyle(element).color)), light(back)].sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05);
  };
  const speaks = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const faint = new Set();
  for (const element of document.querySelectorAll("#app *")) {
    if (!speaks(element) || !element.checkVisibility({ opacityProperty: true })) continue;
    if (element.closest(":disabled, [hidden], .ticket.spent")) continue;
    const back = behind(element);
    const ratio = back ? contrast(element, back) : 21;
    if (ratio < 4.5) faint.add(`${element.className || element.tagName} ${element.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
  }
  return [...faint];
}
