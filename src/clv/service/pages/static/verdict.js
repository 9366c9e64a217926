// A verdict on the Campaign page: its charts, the slider of the lift, and that of the depth.
"use strict";

window.clv.verdict = (() => {
  const { by, count, draw, make, money, percent, showMoney } = window.clv;
  let shown = null; // {data, lift, depth}: positions of both sliders

  /** Show what the service answered; `at` says where the sliders were. */
  function show(part, at = {}) {
    by("verdict").innerHTML = part; // our own template, in which every value is escaped
    const data = JSON.parse(by("verdict-data").textContent);
    shown = { data, lift: at.lift ?? data.at, depth: at.depth ?? null };
    const slider = by("lift-slider");
    slider.max = data.lifts.length - 1;
    slider.addEventListener("input", () => move(Number(slider.value)));
    const depth = by("depth");
    depth.max = data.points.length;
    depth.addEventListener("input", () => { shown.depth = Number(depth.value); showDepth(); changed(); });
    by("to-best").addEventListener("click", () => { shown.depth = null; showDepth(); changed(); });
    showMoney(by("verdict"));
    showLift();
  }

  const changed = () => by("verdict").dispatchEvent(new CustomEvent("moved"));
  const lift = () => shown.data.lifts[shown.lift];

  function move(position) {
    shown.lift = position;
    shown.depth = null; // the best depth is another one
    showLift();
    changed();
  }

  /** Move to a lift, a share or null; false if the slider does not have it. */
  function assume(share) {
    const position = shown.data.lifts.findIndex((one) => one.lift === share || (share !== null && one.lift !== null && Math.abs(one.lift - share) < 1e-9));
    if (position < 0) return false;
    if (position !== shown.lift) move(position);
    return true;
  }

  function showLift() {
    const now = lift();
    by("answer").innerHTML = now.answer; // as above
    by("tiles").innerHTML = now.tiles;
    by("warnings").replaceChildren(...now.warnings.map((text) => make("li", {}, text)));
    by("holdout").textContent = now.holdout;
    by("holdout").closest("section").hidden = now.holdout === "";
    showMoney(by("answer"));
    showMoney(by("tiles"));
    by("lift-slider").value = shown.lift;
    by("lift-slider").setAttribute("aria-valuetext", `${now.label}: ${now.says}`);
    by("lift-label").textContent = now.label;
    by("to-best").textContent = now.lift === null ? "Back to all" : "Back to the best number";
    for (const place of by("verdict").querySelectorAll("[data-figure]:not([data-figure=depth])")) picture(place);
    showDepth(); // with its chart
  }

  /* ---- charts */

  function picture(place) {
    const name = place.dataset.figure, now = lift(), title = now.titles[name];
    const { data, layout } = shown.data.figures[name];
    if (title) {
      place.closest("figure").querySelector("h3").textContent = title;
      place.closest("figure").querySelector("figcaption").textContent = now.readings[name];
      place.setAttribute("aria-label", title);
    }
    const { height: _reserved, width: _all, ...rest } = layout;
    if (name === "increment") draw(place, data, { ...rest, ...breakEven(now, layout, data) });
    else if (name === "depth") draw(place, depthTraces(data), { ...rest, ...depthLayout(layout) });
    else draw(place, data, rest);
  }

  function breakEven({ needed }, layout, [all, list]) {
    const highest = Math.max(all.x[0], list.x[0] + list.error_x.array[0], needed ?? 0);
    const visible = needed !== null;
    return {
      shapes: [{ ...layout.shapes[0], x0: needed ?? 0, x1: needed ?? 0, visible }],
      annotations: [{ ...layout.annotations[0], x: needed ?? 0, xanchor: needed > 0.7 * highest ? "right" : "center", text: `break-even ${money(needed ?? 0)}`, visible }],
      xaxis: { ...layout.xaxis, range: [0, 1.15 * highest] },
    };
  }

  const MOST_LIFT = 10;
  /** The lift at which so much further spend per passenger pays. */
  const least = (head) => (head > 0 ? Math.min(shown.data.cost / (shown.data.margin * head), MOST_LIFT) : MOST_LIFT);
  const profit = (point, head) => (shown.data.margin * lift().lift * head - shown.data.cost) * point.customers;

  function depthTraces([low, high, line, best]) {
    const { points } = shown.data, now = lift(), x = points.map((point) => point.customers);
    if (now.lift === null) {
      const y = (name) => points.map((point) => least(point[name]));
      return [{ ...low, x, y: y("high") }, { ...high, x, y: y("low") }, { ...line, x, y: y("mean"), hovertemplate: "the best %{x:,}: %{y:.1%}<extra></extra>" }, { ...best, x: [], y: [] }];
    }
    const y = (name) => [0, ...points.map((point) => profit(point, point[name]))], from0 = [0, ...x];
    const top = points.find((point) => point.customers === now.best);
    return [
      { ...low, x: from0, y: y("low") }, { ...high, x: from0, y: y("high") },
      { ...line, x: from0, y: y("mean"), hovertemplate: "the best %{x:,}: %{y:,.0f}<extra></extra>" },
      { ...best, x: [now.best], y: [top ? profit(top, top.mean) : 0] },
    ];
  }

  function depthLayout(layout) {
    const { points } = shown.data, unit = window.clv.currency || "currency units", last = points.at(-1);
    const { range: _lifts, ...yaxis } = layout.yaxis;
    const title = (text) => ({ ...yaxis.title, text });
    const at = chosen()?.customers ?? 0;
    return {
      xaxis: layout.xaxis,
      yaxis: lift().lift === null
        ? { ...yaxis, title: title("lift at break-even"), tickformat: ",.0%", range: [0, 1.6 * least(last.low) || 1] }
        : { ...yaxis, title: title(`profit (${unit})`), tickformat: ",~f", autorange: true },
      shapes: [{ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: "#d55e00", width: 2 } }],
    };
  }

  /* ---- how many */

  /** The depth that is shown; undefined if nobody is chosen. */
  function chosen() {
    const { points } = shown.data, now = lift();
    if (shown.depth !== null) return points[shown.depth - 1];
    return now.lift === null ? points.at(-1) : points.find((point) => point.customers === now.best);
  }

  function showDepth() {
    const { points, margin, cost } = shown.data, point = chosen(), now = lift();
    const customers = point?.customers ?? 0;
    by("depth").value = point ? points.indexOf(point) + 1 : 0;
    by("depth").setAttribute("aria-valuetext", `the best ${count(customers)}`);
    by("depth-count").textContent = count(customers);
    by("depth-says").textContent = !point ? "No passengers selected." : [
      now.lift === null ? inLifts(point) : `Profit ${money(profit(point, point.mean))}, ${money(profit(point, point.low))} to ${money(profit(point, point.high))}; it pays with probability ${chance(exceeds(point, cost / (margin * now.lift)))}.`,
      `The last passenger selected is expected to spend another ${money(Math.max(point.cutoff, 0))}.`,
    ].join(" ");
    by("download").disabled = customers === 0;
    const place = by("verdict").querySelector("[data-figure=depth]");
    if (place) picture(place);
  }

  function inLifts({ mean, low }) {
    if (shown.data.cost === 0) return "It costs nothing, so any lift pays.";
    if (mean <= 0) return "No lift could make it pay.";
    const share = (head) => (head > 0 ? percent(shown.data.cost / (shown.data.margin * head), 1) : "no lift is enough");
    return `Pays from a lift of ${share(mean)}; to be safe, ${share(low)}.`;
  }

  const chance = (share) => (share > 0.9995 ? "over 99.9%" : share < 0.0005 ? "under 0.1%" : percent(share, 1));

  /** Probability that the mean is above a value, as clv.campaign.mean has it: a shifted gamma. */
  function exceeds({ mean, deviation, skewness }, value) {
    if (!deviation || !Number.isFinite(value)) return Number(mean > value);
    let at = (value - mean) / deviation;
    if (Math.abs(skewness) >= 1e-4) at = ((Math.cbrt(Math.max(1 + skewness * at / 2, 0)) - 1 + skewness ** 2 / 36) * 6) / skewness;
    return 1 - normal(at);
  }

  /** Standard normal distribution; Abramowitz and Stegun (1964), 26.2.17, within 7.5e-8. */
  function normal(z) {
    const t = 1 / (1 + 0.2316419 * Math.abs(z));
    const tail = Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI)
      * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
    return z > 0 ? 1 - tail : tail;
  }

  return {
    assume, lift, show,
    chosen: () => chosen()?.customers ?? 0,
    passengers: () => shown.data.passengers,
    least: () => shown.data.least,
    positions: () => ({ lift: shown.lift, depth: shown.depth }),
  };
})();
