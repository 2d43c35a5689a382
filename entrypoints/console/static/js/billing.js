// Back from where people pay: has the provider asked, and tells its answer once it is there.
import { ask, poll } from "./api.js";
import { complain } from "./dom.js";

const LATE = 30_000;
const AGAIN = [0, 10_000, 30_000, 90_000]; // whether somebody tells us of the payment is not for sure
const box = document.querySelector("[data-back]");
const part = (name) => box.querySelector(`[data-${name}]`);
const timers = [];

function told({ there, answered, words }) {
  if (!there && !answered) return false;
  part("words").textContent = words;
  if (!there) {
    part("says").textContent = "It is not confirmed yet.";
    return false;
  }
  timers.forEach(clearTimeout);
  part("says").textContent = box.dataset.outcome;
  part("waits").hidden = part("late").hidden = true;
  part("on").focus();
  return true;
}

part("waits").hidden = false;
if ("mayAsk" in box.dataset) {
  for (const after of AGAIN) {
    timers.push(setTimeout(() => ask("/billing/refresh", { method: "POST" }).catch(complain), after));
  }
}
timers.push(setTimeout(() => (part("late").hidden = false), LATE));
poll(box.dataset.back, told, 1).catch(complain);
