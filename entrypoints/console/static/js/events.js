// The log goes on by itself while it is looked at; j and k go through it.
import { ask } from "./api.js";
import { element, typing } from "./dom.js";
import { localise } from "./moments.js";

const SECONDS = 3;
const MOST = 500;
const log = document.getElementById("log");
const follow = document.getElementById("follow");
const template = document.getElementById("event-row");
const status = document.getElementById("told-new");

function line(told) {
  const row = template.content.firstElementChild.cloneNode(true);
  const set = (name, text) => (row.querySelector(`[data-${name}]`).textContent = text);
  row.querySelector("[data-at]").append(element("time", { datetime: told.at, title: told.at }));
  set("said", told.said);
  set("who", told.actor);
  set("type", told.type);
  set("seq", told.seq);
  set("by", `${told.actor}, agent ${told.agent}`);
  set("from", [told.address || "inside the service", told.user_agent].filter(Boolean).join(" · "));
  set("request", told.request || "–");
  set("payload", told.payload);
  const about = row.querySelector("[data-about]");
  const links = [];
  if (told.href) links.push(element("a", { href: told.href }, "Open it"), told.subject ? " · " : null);
  if (told.subject) {
    const all = element("a", { href: `/events?subject=${told.subject}` }, "All about it");
    links.push(all, " ", element("code", { class: "break" }, told.subject));
  }
  if (links.length) about.replaceChildren(...links.filter((part) => part !== null));
  row.classList.add("log-new");
  localise(row);
  return row;
}

async function goOn() {
  let after = Number(follow.dataset.follow);
  const query = follow.dataset.query;
  for (;;) {
    if (!document.hidden && follow.checked) {
      try {
        const found = await ask(`/events/new?${query}${query ? "&" : ""}after=${after}`);
        after = found.next;
        for (const told of found.items) log.prepend(line(told));
        while (log.children.length > MOST) log.lastElementChild.remove();
        if (found.items.length) {
          document.getElementById("none")?.remove();
          status.textContent = found.items.length === 1 ? found.items[0].said : `${found.items.length} new events.`;
        }
      } catch (problem) {
        if (problem.status !== 0 && problem.status < 500 && problem.status !== 429) return;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  }
}

document.addEventListener("keydown", (event) => {
  if (typing(event) || event.ctrlKey || event.metaKey || event.altKey || !["j", "k"].includes(event.key)) return;
  const lines = [...log.querySelectorAll("summary")];
  const at = lines.indexOf(document.activeElement);
  const next = at < 0 ? 0 : event.key === "j" ? Math.min(at + 1, lines.length - 1) : Math.max(at - 1, 0);
  lines[next]?.focus();
});

if (follow) goOn();
