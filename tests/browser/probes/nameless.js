// Controls that a screen reader could not name.
() =>
  [...document.querySelectorAll("button, input, select, meter, progress, [role=separator], [role=img]")]
    .filter((element) => element.checkVisibility())
    .filter((element) => !element.getAttribute("aria-label") && !element.getAttribute("aria-hidden"))
    .filter((element) => !element.textContent.trim() && !element.closest("label")?.textContent.trim())
    .map((element) => element.outerHTML.slice(0, 120))
