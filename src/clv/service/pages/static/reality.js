// Promise and reality: what was expected, what came, and whether to worry.
"use strict";

(() => {
  const { ask, by, count, draw, fail, make, money, percent } = window.clv;
  const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00"];
  const CAME = "#808080";

  const known = (value, show) => (value === null ? "–" : show(value));
  const signed = (share) => {
    const text = percent(share, 1);
    if (text === "-0.0%") return "0.0%";
    return share > 0 && text !== "0.0%" ? `+${text}` : text;
  };
  const rows = (place, lines) => by(place).replaceChildren(...lines.map((cells) =>
    make("tr", {}, ...cells.map((cell, at) => (at ? make("td", {}, cell) : make("th", { scope: "row" }, ...[cell].flat()))))));

  function alarms({ alarms: raised }) {
    by("alarms").replaceChildren(...raised.map((alarm) => {
      const box = make("div", { className: "failed" }, make("p", {}, make("strong", {}, `Alarm (${alarm.kind}): `), alarm.says));
      box.append(make("p", {}, alarm.advice));
      box.setAttribute("role", "alert");
      return box;
    }));
  }

  function tile(name, value, hint) {
    return make("div", {}, make("dt", {}, name), make("dd", {}, value), make("dd", { className: "hint" }, hint));
  }

  function tiles(version, { outcomes, alarms: raised }) {
    const q = version.quality;
    const sure = q.bias_low !== null ? `95% interval ${signed(q.bias_low)} to ${signed(q.bias_high)}` : "";
    by("verdict").textContent = raised.some((one) => one.kind !== "drift")
      ? `Version ${version.version} does not keep its promise any more.`
      : q.judged ? `Nothing says that version ${version.version} breaks its promise.` : `No outcome of version ${version.version} is known yet.`;
    by("tiles").replaceChildren(
      tile("Money off by", known(q.bias, signed), q.judged ? `${money(q.predicted)} expected a passenger, ${money(q.actual)} came; ${sure}` : "sum of predictions against sum of spend"),
      tile("Intervals hold", known(q.covered, (share) => percent(share, 1)), `of the passengers; promised ${known(q.level, (share) => percent(share, 1))}`),
      tile("Ride again", known(q.returned, (share) => percent(share, 1)), `promised ${known(q.p_return, (share) => percent(share, 1))}`),
      tile("Order (Gini)", known(q.gini, (value) => value.toFixed(3)), "do those ranked first spend most? 1 perfect, 0 chance"),
      tile("Outcomes known", count(outcomes.judged), `${count(outcomes.unmatched)} of passengers never asked about, ${count(outcomes.early)} too early to count`),
      tile("Waiting", count(version.early.customers), version.early.unsound
        ? `no early estimate: ${version.early.unsound}`
        : `were passengers as in training, MSE would be ${known(version.early.mse, (value) => count(Math.round(value)))}`),
    );
  }

  function overTime({ versions }) {
    const traces = [];
    const came = new Map();
    [...versions].reverse().forEach((one, at) => {
      const cohorts = one.cohorts.filter((row) => row.quality.judged);
      const colour = COLOURS[at % COLOURS.length];
      traces.push({
        type: "scatter", mode: "lines+markers", name: `promised by version ${one.version}`, line: { color: colour, width: 2 }, marker: { size: 6, color: colour },
        x: cohorts.map((row) => row.cohort), y: cohorts.map((row) => row.quality.predicted),
        hovertemplate: `week of %{x}: %{y:,.2f}<extra>promised by version ${one.version}</extra>`,
      });
      for (const row of cohorts) {
        const [n, sum] = came.get(row.cohort) ?? [0, 0];
        came.set(row.cohort, [n + row.quality.judged, sum + row.quality.judged * row.quality.actual]);
      }
    });
    const weeks = [...came.keys()].sort();
    traces.push({
      type: "scatter", mode: "lines", name: "came", line: { color: CAME, width: 3, dash: "dot" },
      x: weeks, y: weeks.map((week) => came.get(week)[1] / came.get(week)[0]),
      hovertemplate: "week of %{x}: %{y:,.2f}<extra>came</extra>",
    });
    draw(by("over-time"), traces, {
      showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, margin: { t: 30, r: 16, b: 20, l: 20 },
      xaxis: { type: "date", title: { text: "week of the prediction", standoff: 8 } },
      yaxis: { title: { text: "mean a passenger", standoff: 8 }, rangemode: "tozero" },
    });
    by("over-time-reading").textContent = "Mean spend by day 30 of the passengers whose outcome is known. Where the lines part, promises are not kept.";
  }

  function evidence(version) {
    const { weeks, evidence: found, limit, raised, since } = version.bias;
    const shown = found.map((value) => Math.max(value, 1e-4));
    draw(by("evidence"), [{
      type: "scatter", mode: "lines+markers", x: weeks, y: shown, line: { color: "#0072B2" },
      hovertemplate: "week of %{x}: %{y:.3g}<extra></extra>",
    }], {
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: limit, y1: limit, line: { color: "#D55E00", dash: "dash", width: 2 } }],
      xaxis: { type: "date", title: { text: "week in which outcomes were known", standoff: 8 } },
      yaxis: { type: "log", title: { text: "evidence", standoff: 8 }, range: [-4.2, Math.max(2, Math.log10(Math.max(...shown, 1)) + 0.3)] },
    });
    by("evidence-reading").textContent = `Evidence that version ${version.version} promises too much or too little. Above the dashed line (${limit}) it is an alarm; `
      + "while nothing changes, that happens in one year of twenty at the most, however often one looks."
      + (raised ? ` It was raised in the week of ${raised}, most likely for what came since the week of ${since}.` : "");
  }

  function deciles(version) {
    const tenths = version.deciles;
    const bars = [["predicted", "promised", "#0072B2"], ["actual", "came", "#E69F00"]].map(([key, name, colour]) => ({
      type: "bar", name, x: tenths.map((row) => row.decile), y: tenths.map((row) => row[key]), marker: { color: colour },
      hovertemplate: `tenth %{x}: %{y:,.2f}<extra>${name}</extra>`,
    }));
    draw(by("deciles"), bars, {
      barmode: "group", showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, margin: { t: 30, r: 16, b: 20, l: 20 },
      xaxis: { dtick: 1, title: { text: "tenth of the passengers", standoff: 8 } },
      yaxis: { title: { text: "still to come, a passenger", standoff: 8 } },
    });
    by("deciles-reading").textContent = `Spend after day 7: passengers of version ${version.version} sorted by what was promised, in ten groups of one size; the last was promised most.`;
  }

  function labels({ versions }) {
    const weeks = new Map();
    for (const { cohorts } of versions) {
      for (const row of cohorts) {
        const [promised, judged] = weeks.get(row.cohort) ?? [0, 0];
        weeks.set(row.cohort, [promised + row.quality.promised, judged + row.quality.judged]);
      }
    }
    const at = [...weeks.keys()].sort();
    draw(by("labels"), [{
      type: "bar", x: at, y: at.map((week) => weeks.get(week)[1] / weeks.get(week)[0]), marker: { color: "#0072B2" },
      hovertemplate: "week of %{x}: %{y:.0%}<extra></extra>",
    }], {
      bargap: 0.15, xaxis: { type: "date", title: { text: "week of the prediction", standoff: 8 } },
      yaxis: { tickformat: ".0%", range: [0, 1.02], nticks: 5 },
    });
    by("labels-reading").textContent = "Share of the passengers of each week whose outcome is known. It is low for 23 days and whole weeks after; where it stays low, those who are missing may be others than those who are not.";
  }

  function versions({ versions: all, shadows }) {
    rows("versions", all.map(({ version, is_champion: serves, quality: q, bias }) => [
      serves ? [`${version} `, make("span", { className: "badge good" }, "champion")] : version,
      count(q.promised), count(q.judged), known(q.predicted, money), known(q.actual, money), known(q.bias, signed),
      known(q.mse, (value) => count(Math.round(value))), known(q.gini, (value) => value.toFixed(3)),
      known(q.covered, (share) => percent(share, 1)), known(q.brier, (value) => value.toFixed(4)),
      bias.raised ?? "–",
    ]));
    by("shadows").hidden = !shadows.length;
    const off = (value) => `${value > 0 ? "+" : ""}${value.toFixed(1)}`;
    rows("shadow-rows", shadows.map(({ challenger, champion, quality: q, to_champion: difference }) => [
      challenger, champion, count(q.judged), known(q.bias, signed), known(q.mse, (value) => count(Math.round(value))),
      known(difference, ({ mean }) => off(mean)), known(difference, ({ low, high }) => `${off(low)} to ${off(high)}`),
    ]));
  }

  const NAMES = { recency: "Day of the last ride", frequency: "Rides in 7 days", monetary: "Spent in 7 days", predicted: "Expected spend by day 30", p_return: "Probability of riding again" };
  const STATUS = { steady: "good", watch: "unsure", drifted: "bad", "too few": "unsure" };

  function between(edges, at, form) {
    if (!edges.length) return "all";
    if (at === 0) return `to ${form(edges[0])}`;
    return at === edges.length ? `over ${form(edges.at(-1))}` : `to ${form(edges[at])}`;
  }

  function drift({ drift: found, drift_customers: asked, drift_days: days, out_of_support: unlike, impossible }) {
    by("drift").hidden = !found.length;
    by("drift-reading").textContent = `${count(asked)} passengers of the last ${days} days beside those of training: ${count(unlike)} are like too few of them`
      + (impossible ? `, ${count(impossible)} have values that cannot be.` : ".");
    // All places first: a plot takes the width that its place has when it is drawn.
    const places = found.map((one) => {
      const place = make("div", { className: "plot low" });
      const title = make("h3", {}, `${NAMES[one.quantity]} `, make("span", { className: `badge ${STATUS[one.status]}` }, one.status));
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", NAMES[one.quantity]);
      return { place, figure: make("figure", {}, title, place, make("figcaption", {},
        `Stability index ${one.stability_index.toFixed(3)}: from 0.1 worth a look, from 0.25 an alarm; chance makes up to ${one.noise.toFixed(3)} of it.`)) };
    });
    by("drift-pictures").replaceChildren(...places.map(({ figure }) => figure));
    found.forEach((one, at) => {
      const form = (value) => (one.quantity === "p_return" ? percent(value) : String(Math.round(value * 10) / 10));
      const x = one.shares.map((_, bin) => between(one.edges, bin, form));
      draw(places[at].place, [["training", one.reference, CAME], ["of late", one.shares, "#0072B2"]].map(([name, y, colour]) => ({
        type: "bar", name, x, y, marker: { color: colour }, hovertemplate: `%{x}: %{y:.1%}<extra>${name}</extra>`,
      })), {
        barmode: "group", showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, margin: { t: 30, r: 16, b: 20, l: 20 },
        xaxis: { type: "category" }, yaxis: { tickformat: ".0%", nticks: 4, rangemode: "tozero" },
      });
    });
  }

  async function load() {
    const answer = await ask("GET", "/api/monitoring");
    if (!answer.ok) { fail(by("failed"), answer); return; }
    const found = answer.data;
    alarms(found);
    drift(found);
    const judged = found.versions.some((one) => one.quality.judged);
    by("nothing").hidden = judged;
    by("nothing-title").textContent = found.versions.length ? "No outcome is known yet." : "Nothing was predicted yet.";
    const shown = found.versions.find((one) => one.is_champion) ?? found.versions[0];
    by("kept").hidden = !shown;
    if (shown) tiles(shown, found);
    by("pictures").hidden = !judged;
    if (!judged) return;
    // A champion of yesterday promised nothing that is due: the version before has more to tell.
    const told = shown.quality.judged ? shown : found.versions.find((one) => one.quality.judged);
    overTime(found);
    evidence(told);
    deciles(told);
    labels(found);
    versions(found);
  }

  load();
})();
