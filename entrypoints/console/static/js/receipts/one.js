// A receipt that is being read: its page shows what was read as soon as it was, unless somebody writes there already.
import { poll } from "../api.js";
import { complain, element } from "../dom.js";

const says = document.querySelector("[data-reading]");
const address = says.dataset.reading.replace(/\/state$/, ""); // the page's own may be that of a form that was refused
const typed = [...document.querySelectorAll("main input")].some((one) => one.value !== one.defaultValue); // before this ran
let touched = typed || document.querySelector('[role="alert"], [aria-invalid="true"]') !== null; // what was typed stands there
document.addEventListener("input", () => (touched = true));

poll(says.dataset.reading, (now) => {
  if (now.state === "reading") return false;
  if (touched) says.replaceChildren("It was read meanwhile: ", element("a", { href: address }, "show what it says"), ".");
  else location.reload();
  return true;
}, 0.7).catch(complain);
