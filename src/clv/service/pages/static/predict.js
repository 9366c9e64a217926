// One passenger: ask for a prediction, then for what lies behind it.
"use strict";

(() => {
  const { ask, by, change, clearErrors, currency, draw, fail, make, money, percent, showErrors } = window.clv;
  const form = by("ask");
  const names = ["recency_7", "frequency_7", "monetary_7", "id"];
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const BLUE = isDark ? "#56B4E9" : "#0072B2", ORANGE = "#E69F00";
  let asked = 0;

  /** A number as it was written, so that no digit of an id is lost; other text as text. */
  function literal(text) {
    return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) ? text : JSON.stringify(text);
  }

  function body() {
    const fields = names.map((name) => [name, form.elements[name].value.trim()]);
    const sent = fields.map(([name, text]) => [name, name === "id" && !text ? "0" : text]);
    return `{${sent.filter(([, text]) => text).map(([name, text]) => `"${name}":${literal(text)}`).join()}}`;
  }

  function show({ state }) {
    for (const name of ["nothing", "failed", "answer"]) by(name).hidden = name !== state;
  }

  function inWords({ level, low, high }, expected) {
    const share = `${Math.round(level * 10)} of 10 passengers like this one`;
    const said = low === high
      ? `At least ${share} never ride again and end at ${money(low)}.`
      : `${share} spend between ${money(low)} and ${money(high)} by day 30.`;
    return expected > high ? `${said} The expectation lies above, as the few others spend much.` : said;
  }

  function fill(said, spent) {
    by("monetary_30").textContent = money(said.monetary_30);
    by("increment").textContent = `${money(spent)} spent already, and ${money(said.expected_increment)} still to come.`;
    by("p_return").textContent = percent(said.p_return, said.p_return < 0.1 ? 1 : 0);
    by("score_bin").textContent = String(said.score_bin);
    const basis = said.in_support ? ["good", "well supported"] : ["unsure", "extrapolated"];
    by("support").replaceChildren(make("span", { className: `badge ${basis[0]}` }, basis[1]));
    by("support_note").textContent = said.support_note ? `Extrapolated: ${said.support_note}.` : "";
    by("support_note").hidden = !said.support_note;
    by("interval").textContent = inWords(said.interval, said.monetary_30);
  }

  function bins(at, of) {
    const bars = Array.from({ length: of }, (_, bin) => make("span", { className: bin + 1 === at ? "at" : "" }));
    const row = make("span", { className: "bins" }, ...bars);
    row.setAttribute("aria-hidden", "true");
    by("score_bin").replaceChildren(`${at} `, make("span", { className: "unit" }, `of ${of}`), row);
  }

  function picture(found, spent) {
    const rows = found.intervals.map(({ level, low, high }) => ({ name: percent(level), low, high }));
    const line = (at, dash) => ({ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: ORANGE, width: 2, dash } });
    draw(by("intervals"), [
      {
        type: "bar", orientation: "h", width: 0.55,
        y: rows.map((row) => row.name), base: rows.map((row) => row.low), x: rows.map((row) => row.high - row.low),
        customdata: rows.map((row) => [money(row.low), money(row.high)]),
        marker: { color: BLUE, opacity: [1, 0.8, 0.62, 0.45] },
        hovertemplate: "%{y}: %{customdata[0]} to %{customdata[1]}<extra></extra>",
      },
      {
        // An interval that is a point has no width; a mark shows it.
        type: "scatter", mode: "markers", hoverinfo: "skip", cliponaxis: false,
        y: rows.map((row) => row.name), x: rows.map((row) => (row.low === row.high ? row.low : null)),
        marker: { color: BLUE, size: 11, symbol: "diamond" },
      },
    ], {
      shapes: [line(spent, "dot"), line(found.monetary_30, "solid")],
      xaxis: { title: { text: `spend by day 30${currency ? ` (${currency})` : ""}`, standoff: 8 }, rangemode: "tozero" },
      yaxis: { type: "category", categoryarray: rows.map((row) => row.name), categoryorder: "array", showgrid: false },
    });
    const said = rows.map((row) => `${row.name}: ${money(row.low)} to ${money(row.high)}`).join("; ");
    by("intervals").setAttribute("aria-label", `Intervals of the spend by day 30. ${said}.`);
  }

  function whatIf(changes) {
    by("what-if").replaceChildren(...changes.map((one) => {
      const direction = one.difference > 0 ? "up" : one.difference < 0 ? "down" : "";
      const name = make("th", { scope: "row" }, one.change);
      return make("tr", {}, name, make("td", {}, money(one.monetary_30)),
        make("td", { className: direction }, change(one.difference)), make("td", {}, percent(one.p_return, one.p_return < 0.1 ? 1 : 0)));
    }));
    by("what-if-scroll").hidden = !changes.length;
    by("no-what-if").hidden = changes.length > 0;
  }

  async function predict() {
    const mine = ++asked;
    clearErrors(form);
    by("result").setAttribute("aria-busy", "true");
    by("send").disabled = true;
    const answer = await ask("POST", "/api/predict/tryout", body());
    by("send").disabled = false;
    if (answer.ok) {
      const query = new URLSearchParams(names.slice(0, 3).map((name) => [name, form.elements[name].value.trim()]));
      const behind = await ask("GET", `/api/explain?${query}`);
      if (mine !== asked) return; // somebody asked anew meanwhile
      const spent = Number(query.get("monetary_7"));
      fill(answer.data, spent);
      show({ state: "answer" }); // before drawing: what is hidden has no width
      if (behind.ok) {
        bins(answer.data.score_bin, behind.data.score_bins);
        picture(behind.data, spent);
        whatIf(behind.data.what_if);
      }
    } else if (answer.status === 422 && answer.data.errors) {
      const rest = showErrors(form, names, answer.data.errors);
      by("body-error").textContent = rest.join(" ");
      by("body-error").hidden = !rest.length;
      show({ state: "nothing" });
    } else {
      fail(by("failed"), answer);
      show({ state: "failed" });
    }
    by("result").setAttribute("aria-busy", "false");
    // On a phone the answer stands below the form, where nobody would see it come.
    if (answer.status !== 422 && by("result").getBoundingClientRect().top > 0.6 * innerHeight) by("result").scrollIntoView();
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); predict(); });
  by("example").addEventListener("click", () => {
    for (const [name, value] of [["recency_7", 5], ["frequency_7", 3], ["monetary_7", "60"]]) form.elements[name].value = value;
    predict();
  });
})();
