// What all pages share: asking the API, showing money and moments, drawing. No framework.
"use strict";

window.clv = (() => {
  const currency = document.documentElement.dataset.currency;

  // English as the pages are, whatever the browser speaks: "1.234" must not mean two things here.
  const plain = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const whole = new Intl.NumberFormat("en");
  const asMoney = (() => {
    try {
      if (currency) {
        const form = new Intl.NumberFormat("en", { style: "currency", currency });
        return (value) => form.format(value);
      }
    } catch { /* no ISO code: behind the number */ }
    return (value) => plain.format(value) + (currency ? `\u00a0${currency}` : "");
  })();

  const money = (value) => asMoney(value === 0 ? 0 : value); // never -0.00
  /** Write the amounts of a part of a page as all amounts are written. */
  function showMoney(part) {
    for (const data of part.querySelectorAll("data.money")) {
      const digits = Number(data.dataset.digits ?? 2), value = Number(data.value);
      const sign = "signed" in data.dataset && value > 0 ? "+" : "";
      data.textContent = sign + (digits === 2 ? money(value) : rounded(value, digits));
    }
  }
  function rounded(value, digits) {
    const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    try {
      if (currency) return new Intl.NumberFormat("en", { ...form, style: "currency", currency }).format(value);
    } catch { /* no ISO code: behind the number */ }
    return new Intl.NumberFormat("en", form).format(value) + (currency ? `\u00a0${currency}` : "");
  }
  const count = (value) => whole.format(value);
  const percent = (share, digits = 0) => new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(share);
  // As the service writes them: 14 Sep 2026, and 14 Sep 2026, 13:07 UTC.
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const day = (text) => {
    const at = new Date(text);
    return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
  };
  const moment = (text) => `${day(text)}, ${new Date(text).toISOString().slice(11, 16)} UTC`;
  /** A number with its noun: 1 passenger, 2 passengers. */
  const counted = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
  const by = (id) => document.getElementById(id);

  /** An element with properties and children; text is text, never HTML. */
  function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  }

  // Ids may have 19 digits, of which a number keeps 16; newer browsers tell how it was written.
  const exact = (key, value, context) =>
    key === "id" && typeof value === "number" && context ? context.source : value;

  const NO_ANSWER = { ok: false, status: 0, data: { detail: "The service does not answer. Check that it runs, and try again." } };

  /** Ask the API: {ok, status, data}, where data is problem details when not ok. Never throws. */
  async function ask(method, path, body) {
    try {
      const headers = body === undefined ? {} : { "content-type": "application/json" };
      const answer = await fetch(path, { method, headers, body });
      const text = await answer.text();
      return { ok: answer.ok, status: answer.status, data: text ? JSON.parse(text, exact) : {} };
    } catch {
      return NO_ANSWER;
    }
  }

  /** Say in a box of class "failed" why something could not be done. */
  function fail(box, answer) {
    const said = make("p", {}, answer.data.detail ?? "That did not work. Try again.");
    box.replaceChildren(said);
    if (answer.status === 401) {
      const next = encodeURIComponent(location.pathname + location.search);
      const link = make("a", { href: `/signin?next=${next}` }, "Sign in");
      box.replaceChildren(make("p", {}, "You are not signed in any more. ", link));
    }
    box.hidden = false;
  }

  /** Put the errors of a 422 beside the fields of these names; true where each has found one. */
  function showErrors(form, names, errors = []) {
    const rest = [];
    for (const { field, message } of errors) {
      const name = field.split(".").at(-1);
      if (!names.includes(name)) { rest.push(message); continue; }
      const place = by(`${name}-error`);
      place.textContent = message;
      place.hidden = false;
      form.elements[name].setAttribute("aria-invalid", "true");
      form.elements[name].closest("details")?.setAttribute("open", "");
    }
    form.querySelector("[aria-invalid=true]")?.focus();
    return rest;
  }

  function clearErrors(form) {
    for (const place of form.querySelectorAll(".error")) place.hidden = true;
    for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  }

  const grid = { gridcolor: "rgba(128,128,128,.25)", zerolinecolor: "#808080", linecolor: "#808080", automargin: true, fixedrange: true };
  const dates = { tickformat: "%-d %b\n%Y", hoverformat: "%-d %b %Y" };

  // The plotting library is large: it is loaded once, when the first picture comes near.
  let library = null;
  function plotly() {
    if (window.Plotly) return Promise.resolve(window.Plotly);
    library ??= new Promise((resolve, reject) => {
      const script = make("script", { src: document.documentElement.dataset.plotly });
      script.addEventListener("load", () => resolve(window.Plotly));
      script.addEventListener("error", () => { library = null; reject(new Error("not loaded")); });
      document.head.append(script);
    });
    return library;
  }

  const pictures = new Map(); // by place: what is to be drawn, as soon as it comes near
  const near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) if (isIntersecting) render(target);
  }, { rootMargin: "600px" });

  async function render(place) {
    near.unobserve(place);
    const found = await plotly().catch(() => null);
    if (!place.isConnected) { pictures.delete(place); return; }
    if (!found) { place.textContent = "The chart could not be loaded. Reload the page to try again."; return; }
    const { traces, layout } = pictures.get(place);
    found.react(place, traces, layout, { displayModeBar: false, responsive: true });
  }

  /** Draw when the place comes near, in the look of the reports; text takes its colour from the page. */
  function draw(place, traces, layout = {}) {
    const { xaxis, yaxis, ...rest } = layout;
    pictures.set(place, {
      traces,
      layout: {
        template: {}, // without the library's own colours
        margin: { t: 12, r: 16, b: 20, l: 20 },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: "system-ui, sans-serif", size: 12, color: "#808080" },
        dragmode: false, hovermode: "closest", showlegend: false,
        hoverlabel: { bgcolor: "#26323b", bordercolor: "#26323b", font: { color: "#fff" } },
        ...rest,
        xaxis: { ...grid, ...(xaxis?.type === "date" ? dates : {}), ...xaxis }, yaxis: { ...grid, ...yaxis },
      },
    });
    if (place.classList.contains("js-plotly-plot")) render(place);
    else near.observe(place);
  }

  addEventListener("beforeprint", () => {
    if (window.Plotly) for (const place of pictures.keys()) if (place.isConnected && place.offsetParent) render(place);
  });

  showMoney(document);

  return { NO_ANSWER, ask, by, clearErrors, count, counted, currency, day, draw, fail, make, moment, money, percent, showErrors, showMoney };
})();
