// What is seriously wrong with a page for those who do not see it, or do not use a mouse. By hand,
// for the rules that a machine can decide; answers a list of complaints.
() => {
  const found = [];
  const shown = (one) => one.checkVisibility({ visibilityProperty: true });
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const text = (one) => one.textContent.trim();
  const where = (one) => one.outerHTML.slice(0, 90);
  const named = (one) => one.getAttribute("aria-label") || (one.getAttribute("aria-labelledby") ?? "")
    .split(" ").map((id) => document.getElementById(id)).filter(Boolean).map(text).join(" ");

  if (!document.documentElement.lang) found.push("no lang");
  if (!document.title.trim()) found.push("no title");
  if (!document.querySelector("meta[name=viewport]")) found.push("no viewport");
  if (all("h1").length !== 1) found.push(`${all("h1").length} h1`);
  let before = 0;
  for (const heading of all("h1, h2, h3, h4")) {
    const level = Number(heading.tagName[1]);
    if (level > before + 1) found.push(`h${level} after h${before}: ${text(heading)}`);
    if (!text(heading)) found.push(`empty h${level}`);
    before = level;
  }
  for (const [landmark, least] of [["header", 1], ["nav", 1], ["main", 1], ["footer", 1]])
    if (all(landmark).length < least) found.push(`no ${landmark}`);
  for (const nav of all("nav")) if (!named(nav)) found.push("a nav without a name");

  for (const field of all("input:not([type=hidden]), select, textarea")) {
    if (!(field.labels?.length && text(field.labels[0])) && !named(field)) found.push(`no label: ${where(field)}`);
    for (const id of (field.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean))
      if (!document.getElementById(id)) found.push(`described by nothing: ${id}`);
  }
  for (const one of all("button, a[href], summary"))
    if (!text(one) && !named(one)) found.push(`no name: ${where(one)}`);
  for (const image of all("img, [role=img]"))
    if (!image.getAttribute("alt") && !named(image)) found.push(`no alternative: ${where(image)}`);
  for (const drawing of all("svg")) {
    if (drawing.id === "js-plotly-tester") continue; // where the library measures; out of sight
    if (!drawing.closest("[role=img], [aria-hidden=true]") && !named(drawing)) found.push(`svg that says nothing: ${where(drawing)}`);
  }
  for (const table of all("table")) {
    if (!table.querySelector("th[scope]")) found.push(`a table without heads: ${where(table)}`);
    if (table.querySelector("th:not([scope])")) found.push(`th without scope: ${where(table)}`);
  }
  for (const one of document.querySelectorAll("[tabindex]"))
    if (Number(one.getAttribute("tabindex")) > 0) found.push(`tabindex above 0: ${where(one)}`);
  for (const one of all("*")) {
    const style = getComputedStyle(one);
    if (/auto|scroll/.test(style.overflowX) && one.scrollWidth > one.clientWidth + 1
        && one.tabIndex < 0 && !one.querySelector("a, button, input")) found.push(`scrolls, but not by keys: ${where(one)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) found.push(`id twice: ${id}`);

  // Contrast of every text with what lies behind it, after WCAG 2.2: 4.5, and 3 where it is large.
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.slice(0, 3).map((one) => one / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const [red, green, blue, alpha = 1] = parts(getComputedStyle(at).backgroundColor);
      if (alpha > 0.99) return [red, green, blue];
    }
    return [255, 255, 255];
  };
  for (const one of all("body *")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || one.matches(":disabled, script, option")) continue;
    const style = getComputedStyle(one);
    const inPlot = one instanceof SVGElement;
    if (inPlot && one.closest(".hoverlayer")) continue;
    const ink = luminance(parts(inPlot ? style.fill : style.color));
    const paper = luminance(behind(one));
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (contrast < least) found.push(`contrast ${contrast.toFixed(2)}: ${where(one)}`);
  }
  return found;
}
