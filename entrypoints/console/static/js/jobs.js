// A job's progress as it goes on; the list's keys, and choosing all of them.
import { poll } from "./api.js";
import { complain, typing } from "./dom.js";

const shown = document.querySelector("[data-job]");
if (shown && !("ended" in shown.dataset)) {
  const set = (name, text) => {
    const place = shown.querySelector(`[data-${name}]`);
    if (place) place.textContent = text || "–";
  };
  poll(`/jobs/${shown.dataset.job}/state`, (state) => {
    for (const name of ["said", "progress", "attempts", "error"]) set(name, state[name]);
    if (state.ended) location.reload();
    return state.ended;
  }).catch(complain);
}

const all = document.querySelector("[data-all]");
const boxes = [...document.querySelectorAll('#replay input[name="id"]')];
all?.addEventListener("change", () => boxes.forEach((box) => (box.checked = all.checked)));

document.addEventListener("keydown", (event) => {
  if ((typing(event) && event.target.type !== "checkbox") || event.ctrlKey || event.metaKey || event.altKey) return;
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.findIndex((row) => row.closest("li").contains(document.activeElement));
  if (event.key === "j") rows[Math.min(at + 1, rows.length - 1)]?.focus();
  else if (event.key === "k") rows[Math.max(at - 1, 0)]?.focus();
  else if (event.key === "x" && at >= 0) {
    const box = rows[at].closest("li").querySelector('input[name="id"]');
    if (box) box.checked = !box.checked;
  }
});
