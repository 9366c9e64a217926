// The prediction log: over time, the latest, and those of one passenger.
"use strict";

(() => {
  const { ask, by, clearErrors, count, counted, draw, fail, make, moment, money, percent } = window.clv;
  const known = (value, show) => (value === null ? "–" : show(value));
  let latest = [];

  function fillTable(place, rows, isLinked) {
    by(place).replaceChildren(...rows.map((row) => {
      const id = row.id === null ? "–" : isLinked ? make("a", { href: `/activity?passenger=${row.id}` }, String(row.id)) : String(row.id);
      const cells = [
        id, String(row.recency_7), String(row.frequency_7), money(row.monetary_7), money(row.monetary_30),
        known(row.p_return, (share) => percent(share, 1)), known(row.score_bin, String), row.model_version, known(row.source ?? null, String),
      ];
      const when = make("time", { dateTime: row.requested_at, title: row.requested_at }, row.requested_at === null ? "unknown" : moment(row.requested_at));
      return make("tr", {}, make("td", {}, when), ...cells.map((cell) => make("td", {}, cell)));
    }));
    by(`${place}-scroll`).hidden = !rows.length;
    by(`${place}-empty`).hidden = rows.length > 0;
  }

  function overTime({ period, over_time: buckets }) {
    by("over-time").hidden = !buckets.length; // axes of nothing would be of the year 2000
    const most = Math.max(0, ...buckets.map((one) => one.requests));
    if (buckets.length) draw(by("over-time"), [{
      type: "bar", x: buckets.map((one) => one.at), y: buckets.map((one) => one.requests),
      marker: { color: "#0072B2" },
      hovertemplate: `%{y:,} on %{x|%-d %b %Y${period === "hour" ? ", %H:%M UTC" : ""}}<extra></extra>`,
    }], {
      bargap: 0.15,
      xaxis: { type: "date", showgrid: false, ...(period === "hour" ? { tickformat: "%H:%M\n%-d %b %Y" } : {}) },
      // Whole steps: there is no half of a prediction.
      yaxis: { title: { text: `per ${period}`, standoff: 8 }, rangemode: "tozero", tickformat: ",d", ...(most < 5 ? { dtick: 1, range: [0, most + 0.2] } : { nticks: 5 }) },
    });
    const sum = buckets.reduce((all, one) => all + one.requests, 0);
    by("over-time-reading").textContent = buckets.length
      ? `${counted(sum, "prediction")} in the last ${counted(buckets.length, period)}, in UTC.`
      : "No predictions yet.";
  }

  function showLatest() {
    const source = by("source").value;
    by("latest-empty-title").textContent = source && latest.length ? `None of the latest ${latest.length} predictions has source ${source}.` : "No predictions yet.";
    fillTable("latest", latest.filter((row) => !source || row.source === source), true);
  }

  async function load() {
    const answer = await ask("GET", "/api/activity");
    if (!answer.ok) { by("total").textContent = "unknown"; fail(by("failed"), answer); return; }
    by("total").textContent = counted(answer.data.total, "prediction");
    latest = answer.data.latest;
    showLatest();
    overTime(answer.data);
  }

  async function search(text) {
    clearErrors(by("search"));
    by("found").hidden = true;
    const answer = await ask("GET", `/api/requests/${encodeURIComponent(text)}/latest`);
    if (!answer.ok) {
      const isWrong = answer.data.errors?.length;
      by("passenger-error").textContent = !isWrong ? answer.data.detail
        : text === "-" ? "Enter a passenger id, a whole number." : `“${text}” is not a whole number. Enter a passenger id as in 1234.`;
      by("passenger-error").hidden = false;
      by("passenger").setAttribute("aria-invalid", "true");
      return;
    }
    const { id, count: all, latest: rows } = answer.data;
    const tried = rows.filter((row) => row.source === "page").length;
    const shown = all > rows.length - tried && rows.length ? `, the latest ${rows.length}` : "";
    by("of-one-title").textContent = `Passenger ${id}: ${counted(all, "prediction")}${tried ? ` and ${count(tried)} tried out` : ""}${shown}`;
    fillTable("of-one", rows, false);
    by("found").hidden = false;
  }

  by("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = by("passenger").value.trim().replace(/[\s,]/g, "");
    history.replaceState(null, "", text ? `/activity?passenger=${encodeURIComponent(text)}` : "/activity");
    search(text || "-");
  });
  by("source").addEventListener("change", showLatest);

  const wanted = new URLSearchParams(location.search).get("passenger");
  if (wanted) { by("passenger").value = wanted; search(wanted); }
  load();
})();
