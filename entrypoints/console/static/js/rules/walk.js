// Through a list by j and k: the focus goes from item to item, and Enter opens what it is on.
import { typing } from "../dom.js";

export const items = () => [...document.querySelectorAll("[data-item]")];

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event) || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]") || !["j", "k"].includes(event.key)) return;
  const all = items();
  const at = all.findIndex((item) => item.closest("li").contains(document.activeElement));
  const next = at < 0 ? all[0] : all[at + (event.key === "j" ? 1 : -1)];
  if (!next) return;
  next.focus();
  next.closest("li").scrollIntoView({ block: "nearest" });
  event.preventDefault();
});
