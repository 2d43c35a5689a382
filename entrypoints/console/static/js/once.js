// A page that shows something once: it is copied by a button, and reloading the page asks for nothing anew, since its
// address is that of the page that comes next.
import "./copy.js";

const shown = document.querySelector("[data-once]");
history.replaceState(null, "", shown.dataset.once);
shown.querySelector("[data-copy]:not([hidden])")?.focus();
