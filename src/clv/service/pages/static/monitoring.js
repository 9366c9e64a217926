// Monitoring: predictions compared with outcomes, and whether the passengers have changed.
"use strict";

(() => {
  const { ask, by, count, counted, day, draw, fail, make, money, percent } = window.clv;
  const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00"];
  const GREY = "#808080";
  const LEGEND = { showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, margin: { t: 30, r: 16, b: 20, l: 20 } };
  const WEEKS = { type: "date", title: { text: "week of the prediction", standoff: 8 } };
  const FEW = 500; // with fewer passengers chance alone moves every figure here

  const known = (value, show) => (value === null ? "–" : show(value));
  const signed = (share) => {
    const text = percent(share, 1);
    if (text === "-0.0%") return "0.0%";
    return share > 0 && text !== "0.0%" ? `+${text}` : text;
  };
  const rows = (place, lines) => by(place).replaceChildren(...lines.map((cells) =>
    make("tr", {}, ...cells.map((cell, at) => (at ? make("td", {}, cell) : make("th", { scope: "row" }, ...[cell].flat()))))));
  const KINDS = { bias: "bias", coverage: "interval coverage", drift: "drift" };

  function alarms({ alarms: raised }) {
    by("alarms").replaceChildren(...raised.map((alarm) => {
      const box = make("div", { className: "failed" }, make("p", {}, make("strong", {}, `Alarm (${KINDS[alarm.kind]}): `), alarm.says));
      box.append(make("p", {}, alarm.advice));
      box.setAttribute("role", "alert");
      return box;
    }));
  }

  /** A figure with its name; nothing if it is not known. */
  function tile(name, value, hint) {
    return value === null ? [] : [make("div", {}, make("dt", {}, name), make("dd", {}, value), make("dd", { className: "hint" }, hint))];
  }
  const of = (value, show) => (value === null ? null : show(value));

  function performance(version, { outcomes, alarms: raised }) {
    const { quality: q, early, cohorts } = version;
    const first = cohorts.find((row) => row.quality.judged);
    const isFew = q.judged < FEW, isRaised = raised.some((one) => one.kind !== "drift");
    const isOff = q.bias_low !== null && (q.bias_low > 0 || q.bias_high < 0);
    by("verdict").textContent = isRaised ? `Version ${version.version} no longer performs as expected.`
      : !q.judged ? `No outcomes of version ${version.version} yet.`
        : isFew ? `${counted(q.judged, "outcome")} of version ${version.version} so far. With fewer than ${FEW}, a difference between predicted and actual spend is mostly chance.`
          : isOff ? `No alarm for version ${version.version} yet, but it predicts too ${q.bias > 0 ? "much" : "little"}: the 95% interval of its bias excludes 0. An alarm needs more evidence than one look.`
            : `Version ${version.version} is performing as expected.`;
    const all = first ? `all outcomes since the week of ${day(first.cohort)}` : "";
    const sure = of(q.bias_low, () => `; 95% interval ${signed(q.bias_low)} to ${signed(q.bias_high)}`) ?? "";
    by("tiles").replaceChildren(...isFew ? [
      tile("Mean predicted spend", of(q.predicted, money), "per passenger"),
      tile("Mean actual spend", of(q.actual, money), "per passenger"),
    ].flat() : [
      tile("Bias", of(q.bias, signed), `predicted ${known(q.predicted, money)}, actual ${known(q.actual, money)} per passenger, ${all}${sure}`),
      tile("Interval coverage", of(q.covered, (share) => percent(share, 1)), `target: ${known(q.level, (share) => percent(share, 1))}`),
      tile("Rode again", of(q.returned, (share) => percent(share, 1)), `predicted: ${known(q.p_return, (share) => percent(share, 1))}`),
      tile("Ranking (Gini)", of(q.gini, (value) => value.toFixed(3)), "1 is a perfect ranking, 0 a random one"),
    ].flat(), ...[
      tile("Outcomes", count(outcomes.judged), `of all versions; not counted: ${count(outcomes.unmatched)} for passengers never scored, ${count(outcomes.early)} sent before day 30`),
      tile("Waiting for outcomes", count(early.customers), isFew || early.mse === null ? "passengers scored, outcome not known yet" : early.unsound
        ? `no early estimate: ${early.unsound}`
        : `expected MSE if nothing has changed: ${count(Math.round(early.mse))}`),
    ].flat());
  }

  function overTime({ versions }) {
    const traces = [];
    const actual = new Map();
    [...versions].reverse().forEach((one, at) => {
      const cohorts = one.cohorts.filter((row) => row.quality.judged);
      const colour = COLOURS[at % COLOURS.length];
      traces.push({
        type: "scatter", mode: "lines+markers", name: `predicted by version ${one.version}`, line: { color: colour, width: 2 }, marker: { size: 6, color: colour },
        x: cohorts.map((row) => row.cohort), y: cohorts.map((row) => row.quality.predicted),
        hovertemplate: `week of %{x}: %{y:,.2f}<extra>predicted by version ${one.version}</extra>`,
      });
      for (const row of cohorts) {
        const [n, sum] = actual.get(row.cohort) ?? [0, 0];
        actual.set(row.cohort, [n + row.quality.judged, sum + row.quality.judged * row.quality.actual]);
      }
    });
    const weeks = [...actual.keys()].sort();
    traces.push({
      type: "scatter", mode: "lines", name: "actual", line: { color: GREY, width: 3, dash: "dot" },
      x: weeks, y: weeks.map((week) => actual.get(week)[1] / actual.get(week)[0]),
      hovertemplate: "week of %{x}: %{y:,.2f}<extra>actual</extra>",
    });
    draw(by("over-time"), traces, { ...LEGEND, xaxis: WEEKS, yaxis: { title: { text: "mean per passenger", standoff: 8 }, rangemode: "tozero" } });
    by("over-time-reading").textContent = "Mean spend by day 30 of passengers with a known outcome. If the lines diverge, predictions are off.";
  }

  const shifted = (week, days) => new Date(Date.parse(week) + 86_400_000 * days).toISOString().slice(0, 10);

  function evidence(version) {
    const { weeks, evidence: found, limit, raised, since } = version.bias;
    const shown = found.map((value) => Math.max(value, 1e-4));
    const top = Math.max(2, Math.log10(Math.max(...shown, 1)) + 0.3);
    const ticks = Array.from({ length: Math.floor((top + 4) / 2) + 1 }, (_, at) => 10 ** (2 * at - 4));
    draw(by("evidence"), [{
      type: "scatter", mode: "lines+markers", x: weeks, y: shown, line: { color: "#0072B2" },
      hovertemplate: "week of %{x}: %{y:.3g}<extra></extra>",
    }], {
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: limit, y1: limit, line: { color: "#D55E00", dash: "dash", width: 2 } }],
      xaxis: { type: "date", title: { text: "week of the outcome", standoff: 8 }, ...(weeks.length < 6 ? { tickvals: weeks, range: [shifted(weeks[0], -7), shifted(weeks.at(-1), 7)] } : {}) },
      yaxis: { type: "log", title: { text: "evidence", standoff: 8 }, range: [-4.2, top], tickvals: ticks, ticktext: ticks.map((value) => (value < 1 ? String(value) : count(value))) },
    });
    by("evidence-reading").textContent = `Evidence that version ${version.version} predicts too much or too little. Above the dashed line (${limit}) an alarm is raised; `
      + "if nothing changes, that happens in at most one year of twenty, however often you look."
      + (raised ? ` It was raised in the week of ${day(raised)}, most likely because of outcomes since the week of ${day(since)}.` : "");
  }

  function deciles(version) {
    const tenths = version.deciles;
    const bars = [["predicted", "predicted", "#0072B2"], ["actual", "actual", "#E69F00"]].map(([key, name, colour]) => ({
      type: "bar", name, x: tenths.map((row) => row.decile), y: tenths.map((row) => row[key]), marker: { color: colour },
      hovertemplate: `decile %{x}: %{y:,.2f}<extra>${name}</extra>`,
    }));
    draw(by("deciles"), bars, {
      ...LEGEND, barmode: "group",
      xaxis: { dtick: 1, title: { text: "decile of passengers", standoff: 8 } },
      yaxis: { title: { text: "further spend per passenger", standoff: 8 } },
    });
    by("deciles-reading").textContent = `Spend after day 7. Passengers of version ${version.version} are sorted by predicted further spend and split into ten equal groups; decile 10 has the highest predictions.`;
  }

  function labels({ versions }) {
    const weeks = new Map();
    for (const { cohorts } of versions) {
      for (const row of cohorts) {
        const [predicted, judged] = weeks.get(row.cohort) ?? [0, 0];
        weeks.set(row.cohort, [predicted + row.quality.promised, judged + row.quality.judged]);
      }
    }
    const at = [...weeks.keys()].sort();
    draw(by("labels"), [{
      type: "bar", x: at, y: at.map((week) => weeks.get(week)[1] / weeks.get(week)[0]), marker: { color: "#0072B2" },
      hovertemplate: "week of %{x}: %{y:.0%}<extra></extra>",
    }], { bargap: 0.15, xaxis: WEEKS, yaxis: { tickformat: ".0%", range: [0, 1.02], nticks: 5 } });
    by("labels-reading").textContent = "Share of each week's passengers with a known outcome. The latest weeks are low because day 30 has not come yet. If a week stays low, missing passengers may differ from the rest.";
  }

  function versions({ versions: all, shadows }) {
    rows("versions", all.map(({ version, is_champion: serves, quality: q, bias }) => [
      serves ? [`${version} `, make("span", { className: "badge good" }, "champion")] : version,
      count(q.promised), count(q.judged), known(q.predicted, money), known(q.actual, money), known(q.bias, signed),
      known(q.mse, (value) => count(Math.round(value))), known(q.gini, (value) => value.toFixed(3)),
      known(q.covered, (share) => percent(share, 1)), known(q.brier, (value) => value.toFixed(4)),
      bias.raised ? day(bias.raised) : "–",
    ]));
    by("shadows").hidden = !shadows.length;
    const off = (value) => `${value > 0 ? "+" : ""}${value.toFixed(1)}`;
    rows("shadow-rows", shadows.map(({ challenger, champion, quality: q, to_champion: difference }) => [
      challenger, champion, count(q.judged), known(q.bias, signed), known(q.mse, (value) => count(Math.round(value))),
      known(difference, ({ mean }) => off(mean)), known(difference, ({ low, high }) => `${off(low)} to ${off(high)}`),
    ]));
  }

  const NAMES = { recency: "Day of the last ride", frequency: "Rides in 7 days", monetary: "Spend in 7 days", predicted: "Expected spend by day 30", p_return: "Probability of another ride" };
  const STATUS = { steady: "good", watch: "unsure", drifted: "bad", "too few": "unsure" };

  function between(edges, at, form) {
    if (!edges.length) return "all";
    if (at === 0) return `to ${form(edges[0])}`;
    return at === edges.length ? `over ${form(edges.at(-1))}` : `to ${form(edges[at])}`;
  }

  function drift({ drift: found, drift_customers: scored, drift_days: days, out_of_support: unlike, impossible }) {
    by("drift").hidden = !found.length;
    const isFew = scored < FEW;
    by("drift-reading").textContent = isFew
      ? `${counted(scored, "passenger")} scored in the last ${days} days; drift is measured from ${FEW} passengers on.`
      : `${count(scored)} passengers scored in the last ${days} days; ${count(unlike)} ${unlike === 1 ? "is" : "are"} unlike the training data${impossible ? `, ${count(impossible)} ${impossible === 1 ? "has" : "have"} impossible values` : ""}.`;
    by("drift-pictures").replaceChildren();
    if (isFew) return;
    for (const one of found) {
      const place = make("div", { className: "plot low" });
      const title = make("h3", {}, `${NAMES[one.quantity]} `, make("span", { className: `badge ${STATUS[one.status]}` }, one.status));
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", NAMES[one.quantity]);
      by("drift-pictures").append(make("figure", {}, title, place, make("figcaption", {},
        `Stability index ${one.stability_index.toFixed(3)}, of which up to ${one.noise.toFixed(3)} can be noise. From 0.1 watch it; from 0.25 it is an alarm.`)));
      const form = (value) => (one.quantity === "p_return" ? percent(value) : String(Math.round(value * 10) / 10));
      const x = one.shares.map((_, bin) => between(one.edges, bin, form));
      draw(place, [["training", one.reference, GREY], [`last ${days} days`, one.shares, "#0072B2"]].map(([name, y, colour]) => ({
        type: "bar", name, x, y, marker: { color: colour }, hovertemplate: `%{x}: %{y:.1%}<extra>${name}</extra>`,
      })), { ...LEGEND, barmode: "group", xaxis: { type: "category" }, yaxis: { tickformat: ".0%", nticks: 4, rangemode: "tozero" } });
    }
  }

  async function load() {
    const answer = await ask("GET", "/api/monitoring");
    if (!answer.ok) { fail(by("failed"), answer); return; }
    const found = answer.data;
    alarms(found);
    drift(found);
    const judged = Math.max(0, ...found.versions.map((one) => one.quality.judged));
    by("nothing").hidden = judged > 0;
    by("nothing-title").textContent = found.versions.length ? "No outcomes yet." : "No predictions yet.";
    const shown = found.versions.find((one) => one.is_champion) ?? found.versions[0];
    by("kept").hidden = !shown;
    if (shown) performance(shown, found);
    by("pictures").hidden = judged < FEW;
    if (judged < FEW) return;
    // A new champion has no outcomes yet: the version before has more to show.
    const told = shown.quality.judged >= FEW ? shown : found.versions.find((one) => one.quality.judged >= FEW);
    overTime(found);
    evidence(told);
    deciles(told);
    labels(found);
    versions(found);
  }

  load();
})();
