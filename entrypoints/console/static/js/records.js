// Lists that one walks through by keys, and single keys of a page: [data-rows] has rows, each with a link; [data-key]
// is what its key goes to.
import "./choice.js";
import { typing } from "./dom.js";

const rows = [...document.querySelectorAll("[data-rows] [data-row]")];
const STEPS = { j: 1, k: -1 };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event)) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key in STEPS && rows.length) {
    const at = rows.indexOf(document.activeElement.closest("[data-row]"));
    const next = at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + STEPS[event.key]));
    rows[next].querySelector("a").focus();
    event.preventDefault();
    return;
  }
  const marked = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!marked) return;
  if (marked.tagName === "A") marked.click();
  else marked.querySelector("input:not([type=hidden])")?.focus();
  event.preventDefault();
});
