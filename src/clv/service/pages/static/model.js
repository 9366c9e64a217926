// The model: its pictures, and who becomes champion.
"use strict";

(() => {
  const { ask, by, clearErrors, draw } = window.clv;

  for (const place of document.querySelectorAll("[data-figure]")) {
    const { data, layout } = JSON.parse(place.dataset.figure);
    draw(place, data, { ...layout, autosize: true });
  }

  const dialog = by("confirm");
  if (!dialog) return;
  const form = by("act");
  let chosen = null;

  function open({ act, version, before }) {
    chosen = { act, version };
    const promotes = act === "promote";
    clearErrors(form);
    by("confirm-title").textContent = promotes ? `Promote version ${version}?` : `Roll back to version ${before}?`;
    by("confirm-text").textContent = promotes
      ? "It serves all predictions from now on. You can roll back to today's champion."
      : `Version ${before} serves again, and version ${version} no longer does.`;
    by("reason").value = "";
    by("go").textContent = promotes ? "Promote" : "Roll back";
    dialog.showModal();
    by("reason").focus();
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
