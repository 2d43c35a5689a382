// Endpoints: what becomes of deliveries while one looks at them, the keys of their list, and what a form asks for.
import { poll } from "../api.js";
import { complain, typing } from "../dom.js";
import { localise } from "../moments.js";

const shown = document.getElementById("sent");

// What the server wrote is escaped by its templates; scripts in it would not run.
async function renew() {
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = new Set([...document.querySelectorAll("#sent details[open]")].map((one) => one.closest("li").id));
  const at = document.activeElement?.closest?.("#sent li")?.id;
  for (const id of ["sent", "standing", "acts"]) {
    const next = document.importNode(page.getElementById(id), true);
    document.getElementById(id).replaceWith(next);
    localise(next);
  }
  for (const id of open) document.getElementById(id)?.querySelector("details")?.setAttribute("open", "");
  if (at) document.getElementById(at)?.querySelector("summary")?.focus();
  document.getElementById("result").textContent = page.getElementById("result").textContent;
}

if (shown && "goesOn" in shown.dataset) {
  let present = shown.dataset.now;
  poll(`/settings/notifications/${shown.dataset.endpoint}/state`, ({ now, goes_on: goesOn }) => {
    if (now !== present) {
      present = now;
      renew();
    }
    return !goesOn;
  }).catch(complain);
}

document.addEventListener("keydown", (event) => {
  if (typing(event) || event.ctrlKey || event.metaKey || event.altKey || !["j", "k"].includes(event.key)) return;
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.indexOf(document.activeElement);
  rows[event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0)]?.focus();
});

// The hour is asked for where a digest goes daily.
const digest = document.getElementById("digest");
const hour = document.querySelector("[data-of-digest]");
if (digest && hour) {
  const show = () => (hour.hidden = digest.value !== hour.dataset.ofDigest);
  digest.addEventListener("change", show);
  show();
}

document.querySelector("[data-focus]")?.focus();
