// The model: its pictures, and who becomes champion.
"use strict";

(() => {
  const { ask, by, clearErrors } = window.clv;

  for (const place of document.querySelectorAll("[data-figure]")) {
    const { data, layout } = JSON.parse(place.dataset.figure);
    Plotly.newPlot(place, data, { ...layout, autosize: true }, { displayModeBar: false, responsive: true });
  }

  const dialog = by("confirm");
  if (!dialog) return;
  const form = by("act");
  let chosen = null;

  function open({ act, version }) {
    chosen = { act, version };
    const promotes = act === "promote";
    clearErrors(form);
    by("confirm-title").textContent = promotes ? `Promote version ${version}?` : `Roll back from version ${version}?`;
    by("confirm-text").textContent = promotes
      ? "It answers every prediction from now on. The champion of today stays known, so that you can roll back."
      : "The champion before answers again, once it is known to load.";
    by("reason").value = "";
    by("go").textContent = promotes ? "Promote" : "Roll back";
    dialog.showModal();
  }

  for (const button of document.querySelectorAll("button.act")) button.addEventListener("click", () => open(button.dataset));
  by("cancel").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { act, version } = chosen;
    const reason = by("reason").value.trim();
    by("go").disabled = true;
    const answer = await ask("POST", `/api/models/${version}/${act}`, reason ? JSON.stringify({ reason }) : undefined);
    by("go").disabled = false;
    if (answer.ok) { location.reload(); return; }
    by("act-error").textContent = answer.data.detail;
    by("act-error").hidden = false;
  });
})();
