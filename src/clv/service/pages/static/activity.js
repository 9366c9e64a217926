// What was asked: over time, lately, and of one passenger.
"use strict";

(() => {
  const { ask, by, clearErrors, count, draw, fail, make, moment, money, percent } = window.clv;

  function fillTable(place, rows, isLinked) {
    by(place).replaceChildren(...rows.map((row) => {
      const id = row.id === null ? "tried out" : isLinked ? make("a", { href: `/activity?passenger=${row.id}` }, String(row.id)) : String(row.id);
      const known = (value, show) => (value === null ? "–" : show(value));
      const cells = [
        id, row.recency_7, row.frequency_7, money(row.monetary_7), money(row.monetary_30),
        known(row.p_return, (share) => percent(share, 1)), known(row.score_bin, String), row.model_version,
      ];
      const when = make("time", { dateTime: row.requested_at, title: row.requested_at }, row.requested_at === null ? "unknown" : moment(row.requested_at));
      return make("tr", {}, make("td", {}, when), ...cells.map((cell) => make("td", {}, typeof cell === "number" ? String(cell) : cell)));
    }));
    by(`${place}-scroll`).hidden = !rows.length;
    by(`${place}-empty`).hidden = rows.length > 0;
  }

  function overTime({ period, over_time: buckets }) {
    by("over-time").hidden = !buckets.length; // axes of nothing would be of the year 2000
    if (buckets.length) draw(by("over-time"), [{
      type: "bar", x: buckets.map((one) => one.at), y: buckets.map((one) => one.requests),
      marker: { color: "#0072B2" },
      hovertemplate: `%{y:,} from %{x|${period === "hour" ? "%-d %b, %H:%M" : "%-d %b %Y"}}<extra></extra>`,
    }], {
      bargap: 0.15,
      xaxis: { type: "date", showgrid: false },
      yaxis: { title: { text: period === "hour" ? "requests an hour" : "requests a day", standoff: 8 }, rangemode: "tozero", tickformat: ",d", nticks: 5 },
    });
    const sum = buckets.reduce((all, one) => all + one.requests, 0);
    by("over-time-reading").textContent = buckets.length
      ? `${count(sum)} in the last ${buckets.length} ${period}s; times are UTC.`
      : "Nothing was asked yet.";
  }

  async function load() {
    const answer = await ask("GET", "/api/activity");
    if (!answer.ok) { by("total").textContent = "unknown"; fail(by("failed"), answer); return; }
    by("total").textContent = count(answer.data.total);
    fillTable("latest", answer.data.latest, true);
    overTime(answer.data);
  }

  async function search(text) {
    clearErrors(by("search"));
    by("found").hidden = true;
    const answer = await ask("GET", `/api/requests/${encodeURIComponent(text)}/latest`);
    if (!answer.ok) {
      const said = answer.data.errors?.length ? "A passenger id is a whole number." : answer.data.detail;
      by("passenger-error").textContent = said;
      by("passenger-error").hidden = false;
      by("passenger").setAttribute("aria-invalid", "true");
      return;
    }
    const { id, count: all, latest } = answer.data;
    const shown = all > latest.length && latest.length ? `, the latest ${latest.length}` : "";
    by("of-one-title").textContent = `Passenger ${id}: ${count(all)} prediction${all === 1 ? "" : "s"}${shown}`;
    fillTable("of-one", latest, false);
    by("found").hidden = false;
  }

  by("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = by("passenger").value.trim();
    history.replaceState(null, "", text ? `/activity?passenger=${encodeURIComponent(text)}` : "/activity");
    search(text || "-");
  });

  const wanted = new URLSearchParams(location.search).get("passenger");
  if (wanted) { by("passenger").value = wanted; search(wanted); }
  load();
})();
