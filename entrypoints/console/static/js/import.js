// An import, seen being sorted.
import { poll } from "./api.js";
import { complain, element } from "./dom.js";
import { tell } from "./told.js";

const box = document.querySelector("[data-import]");
const says = box.querySelector("[data-says]");
const bar = box.querySelector("[data-progress]");
const ALONE = ["rules", "similarity", "llm"];
const plural = (n, what) => `${n.toLocaleString()} ${what}${n === 1 ? "" : "s"}`;

function draw(now) {
  const { parts } = now;
  const all = Object.values(parts).reduce((sum, n) => sum + n, 0);
  const sorted = all - parts.open;
  for (const tile of box.querySelectorAll("[data-part]")) {
    const n = parts[tile.dataset.part];
    tile.querySelector("dd").textContent = n.toLocaleString();
    if (n) tile.hidden = false;
  }
  bar.max = Math.max(all, 1);
  bar.value = sorted;
  bar.hidden = now.over;
  if (now.status === "undone") says.textContent = "It was undone.";
  else if (now.status === "failed") says.textContent = "It could not be read.";
  else if (now.status === "received") says.textContent = "It waits for its turn.";
  else if (!now.over) says.textContent = `${sorted.toLocaleString()} of ${plural(all, "record")} sorted so far.`;
  else if (!all) says.textContent = now.known ? "All of its records were known already." : "It has no records.";
  else {
    const alone = ALONE.reduce((sum, stage) => sum + parts[stage], 0);
    says.textContent = `${plural(all, "record")}: ${alone.toLocaleString()} sorted alone, ${parts.waiting.toLocaleString()} to review.`;
  }
  const read = [[now.inserted, "new"], [now.known, "known already"], [now.refused, "refused"]].filter(([n]) => n);
  box.querySelector("[data-read]").replaceChildren(read.length ? element("span", { class: "text-body-secondary" }, `Of the file: ${read.map(([n, what]) => `${n.toLocaleString()} ${what}`).join(", ")}.`) : "");
  box.querySelector("[data-then]").hidden = !now.over || !all;
  box.querySelector("[data-review-link]").hidden = !parts.waiting;
  const learned = box.querySelector("[data-learned-link]");
  if (now.over && parts.people && learned.hidden) {
    learned.hidden = false;
    tell(box.querySelector("[data-told]")).catch(complain);
  }
  return now.over;
}

poll(`/imports/${box.dataset.import}/progress`, draw, 0.7).catch(complain);
