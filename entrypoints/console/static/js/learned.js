// Waits until it has learned of all answers, and shows then what came of it.
import { poll } from "./api.js";
import { complain } from "./dom.js";

const line = document.querySelector("[data-learning]");
const whole = new Intl.NumberFormat("en");

if (line && Number(line.dataset.learning) < Number(line.dataset.lessons)) {
  poll("/review/learned/state", ({ had, lessons }) => {
    if (had >= lessons) location.reload();
    else line.textContent = `It is learning: ${whole.format(had)} of ${whole.format(lessons)} so far. This takes some seconds.`;
    return had >= lessons;
  }).catch(complain);
}
