// How far a run got, told while it goes on.
import { poll } from "../api.js";
import { complain_of } from "./asking.js";

const run = document.getElementById("run");
const progress = document.getElementById("progress");
const format = new Intl.NumberFormat("en-US");

if (run.dataset.open !== undefined) {
  poll(run.dataset.progress, (said) => {
    for (const place of run.querySelectorAll("[data-count]")) {
      const text = format.format(said.counts[place.dataset.count]);
      if (place.textContent !== text) place.textContent = text;
    }
    progress.max = Math.max(said.counts.total, 1);
    progress.value = said.status === "undoing" ? said.counts.restored + said.counts.kept : said.counts.seen;
    if (said.open) return false;
    location.reload();
    return true;
  }).catch(complain_of);
}
