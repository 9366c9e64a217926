// The Campaign page: a list goes up, the verdict comes back as a part of this page.
"use strict";

(() => {
  const { NO_ANSWER, by, clearErrors, count, draw, fail, make, money, percent, relayout, showErrors, showMoney } = window.clv;
  const form = by("ask");
  const fields = ["list", "margin", "cost", "lift"];
  const columns = [...document.querySelectorAll("[data-column]")].map((one) => one.dataset.column);
  const otherNames = { monetary_value_7: ["monetary_7"], id: ["passenger_id", "customer_id"] };
  let list = null; // the file that is chosen
  let judged = null; // the verdict that is shown: its depths, and the list and query it was asked with

  /* ---- the list, and which of its columns is which */

  /** The names in the first line of a CSV file; empty where it is no text. */
  async function header(file) {
    const text = await file.slice(0, 65_536).text();
    const line = text.replace(/^\uFEFF/, "").split(/\r?\n/, 1)[0];
    if (/[\u0000\uFFFD]/.test(text) || line.length > 4_000) return []; // no text in UTF-8
    const delimiter = [",", ";", "\t", "|"].sort((a, b) => line.split(b).length - line.split(a).length)[0];
    return line.split(delimiter).map((name) => name.trim().replace(/^"|"$/g, ""));
  }

  const known = (column, names) => [column, ...(otherNames[column] ?? [])].find((name) => names.includes(name));

  async function take(file) {
    list = file;
    clearErrors(form);
    by("drop-says").textContent = file.name;
    by("drop-hint").textContent = size(file.size);
    const names = await header(file);
    const missing = columns.filter((column) => !known(column, names));
    by("mapping").hidden = missing.length === 0 || names.length < 2;
    for (const column of columns) {
      const select = by(`map-${column}`);
      const options = names.map((name) => make("option", { value: name }, name));
      select.replaceChildren(make("option", { value: "" }, "choose…"), ...options);
      select.value = known(column, names) ?? guess(column, names);
      select.closest(".field").hidden = !missing.includes(column);
    }
  }

  /** The column whose name has a word of the wanted one in it. */
  function guess(column, names) {
    const words = { id: /id|customer|passenger/i, recency_7: /recen|last|day/i, frequency_7: /freq|rides|trips|count/i, monetary_value_7: /mone|spen|amount|revenue|value/i };
    return names.find((name) => words[column]?.test(name)) ?? "";
  }

  const size = (bytes) => (bytes < 1e6 ? `${count(Math.ceil(bytes / 1e3))} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);

  /** The columns that are called otherwise in the list, and nobody said how. */
  const unmatched = () => columns.filter((column) => {
    const select = by(`map-${column}`);
    return !by("mapping").hidden && !select.closest(".field").hidden && !select.value;
  });

  /** Say beside the list what is wrong with it; true where something is. */
  function refused() {
    const most = Number(form.dataset.mostBytes);
    let message = "";
    if (!list) message = "Choose a list first: a CSV file.";
    else if (list.size === 0) message = "The file is empty. Save the list again.";
    else if (list.size > most) message = `The list has ${size(list.size)}; at most ${size(most)} are read here. Leave out columns that are not needed, or have it judged by: clv segment FILE`;
    else if (unmatched().length) message = `Choose below which column of the list is ${unmatched().join(", ")}.`;
    if (message) showErrors(form, fields, [{ field: "list", message }]);
    return message !== "";
  }

  /* ---- asking */

  /** The terms as the API takes them; percentages become shares. */
  function terms() {
    const query = new URLSearchParams({ on_invalid: "skip" });
    const number = (name) => form.elements[name].value.trim().replace(/[\s%]/g, "").replace(",", ".");
    const share = (text) => (text === "" || Number.isNaN(Number(text)) ? text : String(Number(text) / 100));
    query.set("margin", share(number("margin")));
    query.set("cost", number("cost"));
    if (number("lift")) query.set("lift", share(number("lift")));
    if (!by("mapping").hidden) {
      for (const column of columns) {
        const chosen = by(`map-${column}`).value;
        if (chosen && chosen !== column) query.append("column", `${column}=${chosen}`);
      }
    }
    return query;
  }

  /** Send the list; a request of the older kind, because only it tells how much went up. */
  function send(path, file, query, type) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", `${path}?${query}`);
      request.setRequestHeader("content-type", "text/csv");
      request.responseType = type;
      request.upload.onprogress = ({ loaded, total }) => {
        const done = loaded >= total;
        by("working-says").textContent = done ? "Predicting and judging…" : `Sending ${size(loaded)} of ${size(total)}`;
        if (done) by("progress").removeAttribute("value");
        else by("progress").value = loaded / total;
      };
      request.onload = async () => {
        const body = type === "blob" ? request.response : request.responseText;
        if (request.status === 200) { resolve({ ok: true, status: 200, body }); return; }
        const text = type === "blob" ? await body.text() : body;
        let data = {};
        try { data = JSON.parse(text); } catch { /* no problem details */ }
        resolve({ ok: false, status: request.status, data });
      };
      request.onerror = () => resolve({ ok: false, status: 0, data: { detail: "The list could not be sent: the service does not answer, or refuses lists of this size, or the file was changed after it was chosen. Check that it runs, choose the list again, and try again." } });
      request.send(file);
    });
  }

  /** Say why there is no verdict: the list by its own name, each thing that is wrong on its own line. */
  function refuse(answer, file) {
    const box = by("failed");
    const detail = answer.data.detail?.replaceAll("'list.csv'", () => `'${file.name}'`);
    fail(box, { ...answer, data: { ...answer.data, detail } });
    const said = box.querySelector("p");
    const lines = (detail ?? "").split(/(?<=\. )(?=[\w, ]+: )/);
    if (answer.status !== 401 && lines.length > 1) said.replaceWith(...lines.map((line) => make("p", {}, line)));
    box.scrollIntoView({ block: "nearest" });
  }

  function busy(now) {
    by("send").disabled = now;
    by("working").hidden = !now;
    by("result").setAttribute("aria-busy", String(now));
  }

  async function judge() {
    if (by("send").disabled) return; // one is being judged
    clearErrors(form);
    by("failed").hidden = true;
    if (refused()) return;
    const query = terms(), file = list;
    busy(true);
    by("progress").value = 0;
    const answer = await send("/campaign/judge", file, query, "text");
    busy(false);
    if (!answer.ok) {
      by("verdict").replaceChildren();
      const rest = showErrors(form, fields, answer.data.errors);
      const isBeside = answer.data.errors && !rest.length;
      by("nothing").hidden = !isBeside;
      if (!isBeside) refuse(answer, file);
      return;
    }
    by("nothing").hidden = true;
    by("verdict").innerHTML = answer.body; // our own template, in which every value is escaped
    showMoney(by("verdict"));
    judged = { ...JSON.parse(by("verdict-data").textContent), query, file };
    for (const place of by("verdict").querySelectorAll("[data-figure]")) {
      const { data, layout } = judged.figures[place.dataset.figure];
      const { template: _none, height: _reserved, width: _all, ...rest } = layout;
      draw(place, data, rest);
    }
    wireDepth();
    by("verdict-title").focus();
  }

  /* ---- how deep */

  function wireDepth() {
    const slider = by("depth");
    const position = judged.depths.findIndex((point) => point.customers === judged.best);
    slider.max = judged.depths.length - 1;
    slider.value = position;
    slider.addEventListener("input", say);
    by("to-best").addEventListener("click", () => { slider.value = position; say(); });
    by("download").addEventListener("click", download);
    say();
  }

  const chance = (share) => (share > 0.9995 ? "over 99.9%" : share < 0.0005 ? "under 0.1%" : percent(share, 1));
  const chosen = () => judged.depths[Number(by("depth").value)];

  function say() {
    const point = chosen();
    by("depth-count").textContent = count(point.customers);
    by("depth").setAttribute("aria-valuetext", `the best ${count(point.customers)}`);
    by("depth-says").textContent = point.customers
      ? `${judged.gain} ${money(point.profit)}, ${money(point.low)} to ${money(point.high)}; worth it with probability ${chance(point.probability)}. From the last one chosen ${money(point.cutoff)} is still to come.`
      : "Nobody: no cost, and nothing earned.";
    by("download").disabled = point.customers === 0;
    const plot = by("verdict").querySelector("[data-figure=depth]");
    relayout(plot, { shapes: [{ type: "line", x0: point.customers, x1: point.customers, yref: "paper", y0: 0, y1: 1, line: { color: "#d55e00", width: 2 } }] });
  }

  async function download() {
    const query = new URLSearchParams(judged.query);
    query.set("customers", chosen().customers);
    by("download").disabled = true;
    by("failed").hidden = true;
    // The list of this verdict, also where another one was chosen since.
    const answer = await send("/campaign/chosen", judged.file, query, "blob");
    by("download").disabled = false;
    if (!answer.ok) { refuse(answer, judged.file); return; }
    const address = URL.createObjectURL(answer.body);
    make("a", { href: address, download: "chosen-passengers.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  /* ---- events */

  form.addEventListener("submit", (event) => { event.preventDefault(); judge(); });
  by("list").addEventListener("click", () => { by("list").value = ""; }); // the same file may be chosen again
  by("list").addEventListener("change", () => { if (by("list").files.length) take(by("list").files[0]); });
  by("example").addEventListener("click", async () => {
    try {
      const answer = await fetch(form.querySelector("a[download]").href);
      await take(new File([await answer.blob()], "example-passengers.csv", { type: "text/csv" }));
    } catch {
      fail(by("failed"), NO_ANSWER);
      return;
    }
    judge();
  });
  const drop = by("drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
    });
  }
})();
