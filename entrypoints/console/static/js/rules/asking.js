// Sends forms of rules, and says what went wrong.
import * as api from "../api.js";
import { complain, element, toast } from "../dom.js";

export const ask = (path, form) => api.ask(path, { method: "POST", body: form });

export function complain_of(problem) {
  if (problem.status === 412) {
    toast("Somebody changed this meanwhile. It is shown as it is now.", {
      tone: "danger", seconds: 20, action: { label: "Show it", run: () => location.reload() },
    });
  } else complain(problem);
}

// What the server says of a save that it wants confirmed, as a question.
export const question = (problem) =>
  [...Object.values(problem.errors).flat(), "", "Go on all the same?"].join("\n");

// Puts a piece of a page where it belongs. The server wrote it, and escaped what people wrote; no script in it runs.
export function put(place, html) {
  const piece = new DOMParser().parseFromString(html, "text/html");
  place.replaceChildren(...piece.body.childNodes);
}

export const note = (text) => element("p", { class: "text-body-secondary" }, text);
