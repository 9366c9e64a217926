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
      const digits = Number(data.dataset.digits ?? 2);
      data.textContent = digits === 2 ? money(Number(data.value)) : rounded(Number(data.value), digits);
    }
  }
  function rounded(value, digits) {
    const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    try {
      if (currency) return new Intl.NumberFormat("en", { ...form, style: "currency", currency }).format(value);
    } catch { /* no ISO code: behind the number */ }
    return new Intl.NumberFormat("en", form).format(value) + (currency ? `\u00a0${currency}` : "");
  }
  const change = (value) => (value > 0 ? "+" : "") + money(value);
  const count = (value) => whole.format(value);
  const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}%`;
  const moments = new Intl.DateTimeFormat("en-GB", {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC",
  });
  const moment = (text) => moments.format(new Date(text));
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

  /** Draw, in the look of the reports; text takes its colour from the page. */
  function draw(place, traces, layout = {}) {
    const { xaxis, yaxis, ...rest } = layout;
    return Plotly.react(place, traces, {
      template: {}, // without the library's own colours
      margin: { t: 12, r: 16, b: 20, l: 20 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: "#808080" },
      dragmode: false, hovermode: "closest", showlegend: false,
      hoverlabel: { bgcolor: "#26323b", bordercolor: "#26323b", font: { color: "#fff" } },
      ...rest,
      xaxis: { ...grid, ...xaxis }, yaxis: { ...grid, ...yaxis },
    }, { displayModeBar: false, responsive: true });
  }

  showMoney(document);

  return { NO_ANSWER, ask, by, change, clearErrors, count, currency, draw, fail, make, moment, money, percent, showErrors, showMoney };
})();
