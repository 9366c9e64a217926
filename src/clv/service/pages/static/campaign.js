// The Campaign page: a list goes up, the verdict comes back as a part of this page.
"use strict";

(() => {
  const { NO_ANSWER, by, clearErrors, count, fail, make, showErrors, verdict } = window.clv;
  const { isEmpty, number, share, wrong: wrongTerms } = window.clv.terms;
  const form = by("ask");
  const fields = ["list", "margin", "cost", "lift"];
  const EXAMPLE = "example-passengers.csv";
  const SAVED = "clv-campaign"; // in sessionStorage: terms and verdict, never the list
  let list = null; // the file that is chosen
  let previewing = Promise.resolve();
  let judged = null; // what the verdict is about: {terms, list, isExample, file}; file is null after a reload

  /* ---- the terms */

  /** The terms as the API takes them; percentages become shares. */
  function terms() {
    const query = new URLSearchParams({ on_invalid: "skip", margin: share("margin"), cost: number("cost") });
    if (!isEmpty("lift")) query.set("lift", share("lift"));
    for (const select of by("preview").querySelectorAll("select")) {
      const { column, as } = select.dataset;
      if (column && select.value && select.value !== as) query.append("column", `${column}=${select.value}`);
    }
    for (const [name, value] of chosenLooks()) query.set(name, value);
    return query;
  }

  /* ---- the list, and what is taken for what */

  const PREVIEWED = 2 ** 18; // bytes of a text file; a workbook goes up whole
  const isText = (file) => /\.(csv|tsv|txt)$/i.test(file.name);

  /** The whole lines at the beginning of a file. */
  async function beginning(file) {
    if (!isText(file) || file.size <= PREVIEWED) return file;
    const bytes = new Uint8Array(await file.slice(0, PREVIEWED).arrayBuffer());
    const isWide = bytes[1] === 0 || (bytes[0] === 0xff && bytes[1] === 0xfe);
    const end = bytes.lastIndexOf(10) + (isWide ? 2 : 1);
    return file.slice(0, end || PREVIEWED);
  }

  const size = (bytes) => (bytes < 1e6 ? `${count(Math.ceil(bytes / 1e3))} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);

  async function take(file) {
    list = file;
    clearErrors(form);
    by("failed").hidden = true;
    by("drop").classList.add("chosen");
    by("drop-says").textContent = file.name;
    by("drop-hint").textContent = size(file.size);
    by("preview").replaceChildren();
    outdated();
    if (file.size === 0 || file.size > Number(form.dataset.mostBytes)) return; // Judge says what is wrong
    previewing = preview(file);
    await previewing;
  }

  async function preview(file, looks = []) {
    const query = new URLSearchParams([["name", ending(file)], ...looks]);
    let answer;
    try {
      const response = await fetch(`/campaign/preview?${query}`, { method: "POST", headers: { "content-type": "text/csv" }, body: await beginning(file) });
      answer = { ok: response.ok, text: await response.text() };
    } catch { return; } // Judge says so
    if (!answer.ok || list !== file) return;
    by("preview").innerHTML = answer.text; // our own template, in which every value is escaped
    for (const select of by("preview").querySelectorAll("select")) {
      select.addEventListener("change", () => {
        if ("looks" in select.dataset) previewing = preview(file, chosenLooks());
        else nameColumns();
        outdated();
      });
    }
    outdated();
  }

  /** The sheet and the notation of numbers, if they were chosen. */
  const chosenLooks = () => [...by("preview").querySelectorAll("select[data-looks]")].filter(({ value }) => value).map(({ name, value }) => [name, value]);

  /** Write above the rows of the preview what each column is taken for. */
  function nameColumns() {
    const meanings = {};
    for (const { dataset, value } of by("preview").querySelectorAll("select[data-column]")) {
      if (value) meanings[value] = dataset.meaning;
    }
    for (const place of by("preview").querySelectorAll("[data-name]")) {
      place.textContent = meanings[place.dataset.name] ?? "not used";
      place.classList.toggle("used", place.dataset.name in meanings);
    }
  }

  /** What the service may know of the file's name. */
  const ending = (file) => `list${/(\.[a-z0-9]{1,8}){1,2}$/i.exec(file.name)?.[0].toLowerCase() ?? ""}`;

  /** Say beside the list what is wrong with it. */
  function wrongList() {
    const most = Number(form.dataset.mostBytes);
    const missing = [...by("preview").querySelectorAll("select[data-column]")].filter((select) => !select.value).map((select) => select.dataset.meaning.toLowerCase());
    if (!list && judged) return chooseAgain();
    if (!list) return "Choose a list first: a CSV or Excel file.";
    if (list.size === 0) return "The file is empty. Save the list again.";
    if (list.size > most) return `The list has ${size(list.size)}; at most ${size(most)} are read here. Leave out columns that are not needed, or judge it with: clv segment FILE`;
    if (missing.length) return `Choose below which column of the list is: ${missing.join("; ")}.`;
    if (by("number-problem")) return "Choose below how its numbers are written.";
    return "";
  }

  /* ---- asking */

  /** Send the list; a request of the older kind, because only it reports how much went up. */
  function send(path, file, query, type) {
    const isJudging = type === "text";
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", `${path}?${new URLSearchParams([...query, ["name", ending(file)]])}`);
      request.setRequestHeader("content-type", "text/csv");
      request.responseType = type;
      request.upload.onprogress = ({ loaded, total }) => {
        const done = loaded >= total;
        by("working-says").textContent = !done ? `Sending ${size(loaded)} of ${size(total)}` : isJudging ? "Predicting and judging…" : "Choosing passengers…";
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
      request.onerror = () => resolve({ ok: false, status: 0, data: { detail: "The list could not be sent: the service does not answer, or refuses lists of this size, or the file has changed since you chose it. Check that the service runs, choose the list again, and try again." } });
      request.send(file);
    });
  }

  /** Say why there is no verdict: the list by its own name, each problem on its own line. */
  function refuse(answer, file) {
    const box = by("failed");
    const detail = answer.data.detail?.replace(/'list(\.[a-z0-9]+)*'/g, () => `'${file.name}'`);
    fail(box, { ...answer, data: { ...answer.data, detail } });
    const said = box.querySelector("p");
    const lines = (detail ?? "").split(/(?<=\. )(?=[\w, ]+: )/);
    if (answer.status !== 401 && lines.length > 1) said.replaceWith(...lines.map((line) => make("p", {}, line)));
    box.scrollIntoView({ block: "nearest" });
  }

  function busy(now) {
    by("send").disabled = now;
    by("working").hidden = !now;
    by("progress").value = 0;
    by("result").setAttribute("aria-busy", String(now));
  }

  async function judge() {
    if (by("send").disabled) return; // one is being judged
    await previewing; // it says which column is which
    clearErrors(form);
    by("failed").hidden = true;
    const message = wrongList();
    const wrong = [...(message ? [{ field: "list", message }] : []), ...wrongTerms()];
    if (wrong.length) { showErrors(form, fields, wrong); return; }
    const query = terms(), file = list;
    busy(true);
    const answer = await send("/campaign/judge", file, query, "text");
    busy(false);
    by("linked").hidden = true;
    if (!answer.ok) {
      by("verdict").replaceChildren();
      judged = null;
      forget();
      const rest = showErrors(form, fields, answer.data.errors);
      const isBeside = answer.data.errors && !rest.length;
      by("nothing").hidden = !isBeside;
      if (!isBeside) refuse(answer, file);
      return;
    }
    judged = { terms: query.toString(), list: identity(file), isExample: isExample(file), file };
    show(answer.body);
    by("preview-fold")?.removeAttribute("open"); // the form is to stay in view beside the verdict
    by("verdict-title").focus();
  }

  function show(part, at) {
    by("nothing").hidden = true;
    judged.part = part;
    verdict.show(part, at);
    by("download").addEventListener("click", download);
    by("copy").addEventListener("click", copy);
    by("print").addEventListener("click", () => print());
    remember();
    outdated();
  }

  async function download() {
    const file = judged.file ?? (judged.isExample ? await example() : list && identity(list) === judged.list ? list : null);
    if (!file) { showErrors(form, fields, [{ field: "list", message: chooseAgain() }]); return; }
    const query = new URLSearchParams(judged.terms);
    query.set("customers", verdict.chosen());
    by("download").disabled = true;
    by("failed").hidden = true;
    busy(true);
    // The list of this verdict, even if another one was chosen since.
    const answer = await send("/campaign/chosen", file, query, "blob");
    busy(false);
    by("download").disabled = false;
    if (!answer.ok) { refuse(answer, file); return; }
    const address = URL.createObjectURL(answer.body);
    make("a", { href: address, download: "chosen-passengers.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  /* ---- the verdict that is shown: outdated, kept for this session, shared */

  const chooseAgain = () => `Choose ${judged.list.split("/")[0]} again: the service keeps no list.`;
  const identity = (file) => `${file.name}/${file.size}/${file.lastModified}`;
  const isExample = (file) => file.name === EXAMPLE && file.lastModified === 0;

  /** Mark the verdict if what is entered is not what was judged. */
  function outdated() {
    if (!judged || !by("outdated")) return;
    const was = new URLSearchParams(judged.terms), now = wrongTerms().length ? null : terms();
    const names = { margin: "the margin", cost: "the cost", column: "a column", sheet: "the sheet", decimal: "the notation of numbers" };
    const isOther = (name) => String(was.getAll(name)) !== String(now.getAll(name));
    const other = now ? Object.keys(names).filter((name) => (list || !["column", "sheet", "decimal"].includes(name)) && isOther(name)).map((name) => names[name]) : ["an entry"];
    if (now && !verdict.assume(isEmpty("lift") ? null : share("lift"))) other.push("the lift");
    if (list && identity(list) !== judged.list) other.unshift("the list");
    by("outdated").hidden = other.length === 0;
    by("outdated").replaceChildren(make("p", {}, make("strong", {}, "Outdated. "), `You changed ${other.join(" and ")} after this verdict. `, make("button", { type: "button", className: "link", onclick: judge }, "Judge again")));
    by("verdict").classList.toggle("outdated", other.length > 0);
  }

  function remember() {
    const entered = Object.fromEntries(["margin", "cost", "lift"].map((name) => [name, form.elements[name].value]));
    const { file: _file, ...about } = judged;
    history.replaceState(null, "", `#${address()}`);
    try {
      sessionStorage.setItem(SAVED, JSON.stringify({ ...about, entered, at: verdict.positions(), link: location.hash }));
    } catch { /* no room, or switched off: the page works without */ }
  }

  function forget() {
    sessionStorage.removeItem(SAVED);
    history.replaceState(null, "", location.pathname + location.search);
  }

  /** What a link to this verdict says: its terms, and of an own list the result in numbers. */
  function address() {
    const was = new URLSearchParams(judged.terms), now = verdict.lift();
    const percentage = (value) => Number((100 * value).toPrecision(6));
    const link = new URLSearchParams({ margin: percentage(was.get("margin")), cost: was.get("cost") });
    if (now.lift !== null) link.set("lift", percentage(now.lift));
    if (judged.isExample) link.set("list", "example");
    else {
      link.set("list", judged.list.split("/")[0].slice(0, 80));
      link.set("passengers", verdict.passengers());
      if (now.lift === null) link.set("from", verdict.least()?.toPrecision(6) ?? "");
      else link.set("verdict", now.verdict);
    }
    return link;
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(location.href);
      by("copied").textContent = "Link copied.";
    } catch {
      by("copied").textContent = "Copy the address of this page from the address bar.";
    }
  }

  /** What a link says of a list that is not here: numbers and known words, nothing else. */
  function linkedResult(link) {
    const passengers = Number(link.get("passengers")), from = Number(link.get("from"));
    const known = ["worth it", "not worth it", "not enough evidence"].find((one) => one === link.get("verdict"));
    const result = known ? `${known[0].toUpperCase()}${known.slice(1)}` : from > 0 ? `Pays from a lift of ${(100 * from).toFixed(1)}%` : "";
    const box = by("linked");
    const facts = [passengers > 0 ? `${count(passengers)} passenger${passengers === 1 ? "" : "s"}` : "", result].filter(Boolean).join(": ");
    box.replaceChildren(make("p", {}, `This link is about the list “${link.get("list")}”${facts ? ` (${facts})` : ""}. Its terms are entered; choose that list and judge it to see the whole verdict.`));
    box.hidden = false;
    by("nothing").hidden = true;
  }

  /** Come back to the verdict of this session, or open the one of a link. */
  async function open() {
    const link = new URLSearchParams(location.hash.slice(1));
    let saved = null;
    try { saved = JSON.parse(sessionStorage.getItem(SAVED)); } catch { /* damaged or switched off */ }
    if (saved && (!location.hash || saved.link === location.hash)) {
      for (const [name, value] of Object.entries(saved.entered)) form.elements[name].value = value;
      const { entered: _entered, link: _link, at, part, ...about } = saved;
      judged = { ...about, file: null };
      by("drop").classList.add("chosen");
      by("drop-says").textContent = judged.list.split("/")[0];
      by("drop-hint").textContent = "judged before; choose it again to judge it with other terms";
      show(part, at);
      if (judged.isExample) list = await example().catch(() => null);
      return;
    }
    if (!link.has("margin")) return;
    for (const name of ["margin", "cost", "lift"]) form.elements[name].value = link.get(name) ?? "";
    if (link.get("list") === "example") { await judgeExample(); return; }
    linkedResult(link);
  }

  /* ---- events */

  let saving = 0;

  async function example() {
    const answer = await fetch(form.querySelector("a[download]").href);
    return new File([await answer.blob()], EXAMPLE, { type: "text/csv", lastModified: 0 });
  }

  async function judgeExample() {
    try {
      await take(await example());
    } catch {
      fail(by("failed"), NO_ANSWER);
      return;
    }
    await judge();
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); judge(); });
  form.addEventListener("input", outdated);
  by("verdict").addEventListener("moved", () => {
    const { lift } = verdict.lift();
    form.elements.lift.value = lift === null ? "" : String(Number((100 * lift).toPrecision(6)));
    clearTimeout(saving);
    saving = setTimeout(remember, 250); // a browser refuses a new address for each step of a slider
    outdated();
  });
  by("list").addEventListener("click", () => { by("list").value = ""; }); // the same file may be chosen again
  by("list").addEventListener("change", () => { if (by("list").files.length) take(by("list").files[0]); });
  by("example").addEventListener("click", judgeExample);
  const drop = by("drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
    });
  }
  addEventListener("hashchange", open);
  open();
})();
