// One passenger: the form works without this; here its answer comes without loading the page anew.
"use strict";

(() => {
  const { NO_ANSWER, by, currency, draw, fail, money, percent, showMoney } = window.clv;
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const BLUE = isDark ? "#56B4E9" : "#0072B2", ORANGE = "#E69F00";
  let sent = 0;

  function picture() {
    const place = by("intervals");
    if (!place) return;
    const rows = place.dataset.ranges.split(";").map((text) => {
      const [level, low, high] = text.split(" ").map(Number);
      return { name: percent(level), low, high };
    });
    const line = (at, dash) => ({ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: ORANGE, width: 2, dash } });
    draw(place, [
      {
        type: "bar", orientation: "h", width: 0.55,
        y: rows.map((row) => row.name), base: rows.map((row) => row.low), x: rows.map((row) => row.high - row.low),
        customdata: rows.map((row) => [money(row.low), money(row.high)]),
        marker: { color: BLUE, opacity: [1, 0.8, 0.62, 0.45] },
        hovertemplate: "%{y}: %{customdata[0]} to %{customdata[1]}<extra></extra>",
      },
      {
        // A range that is a point has no width; a mark shows it.
        type: "scatter", mode: "markers", hoverinfo: "skip", cliponaxis: false,
        y: rows.map((row) => row.name), x: rows.map((row) => (row.low === row.high ? row.low : null)),
        marker: { color: BLUE, size: 11, symbol: "diamond" },
      },
    ], {
      shapes: [line(Number(place.dataset.spent), "dot"), line(Number(place.dataset.expected), "solid")],
      xaxis: { title: { text: `spend by day 30${currency ? ` (${currency})` : ""}`, standoff: 8 }, rangemode: "tozero" },
      yaxis: { type: "category", categoryarray: rows.map((row) => row.name), categoryorder: "array", showgrid: false },
    });
  }

  /** Put the form and the result of an answered page in place of those of this one. */
  function show(answered) {
    const focused = document.activeElement?.id;
    for (const id of ["ask", "result"]) {
      by(id).replaceChildren(...answered.getElementById(id).childNodes);
      showMoney(by(id));
    }
    picture();
    const wrong = by("ask").querySelector("[aria-invalid]");
    (wrong ?? by(focused) ?? by("send")).focus({ preventScroll: true });
  }

  async function ask(form, button) {
    const mine = ++sent;
    by("result").setAttribute("aria-busy", "true");
    let answered = null;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form, button)) });
      answered = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch { /* said below */ }
    if (mine !== sent) return; // another was sent meanwhile
    if (answered?.getElementById("result")) show(answered);
    else {
      const isSignIn = answered?.getElementById("key");
      const detail = answered?.querySelector(".failed")?.textContent.trim();
      const box = document.createElement("div");
      box.className = "failed";
      box.id = "failed";
      by("failed")?.remove();
      by("result-title").after(box);
      fail(box, isSignIn ? { status: 401, data: {} } : answered ? { status: 0, data: { detail } } : NO_ANSWER);
    }
    by("result").setAttribute("aria-busy", "false");
    // On a phone the result stands below the form, where nobody would see it appear.
    if (!by("ask").querySelector(".error") && by("result").getBoundingClientRect().top > 0.6 * innerHeight) by("result").scrollIntoView();
  }

  by("ask").addEventListener("submit", (event) => { event.preventDefault(); ask(event.target, event.submitter); });
  picture();
})();
