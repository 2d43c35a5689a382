// Review: the items in hand are asked for ahead, and answers go out one after the other behind the person's back.
import { ask } from "./api.js";
import { finder } from "./choice.js";
import { complain, element, icon, toast, typing } from "./dom.js";
import { localise } from "./moments.js";
import { linkReceipt, receiptsOf, suggestedReceipt } from "./receipts/at_item.js";
import { ruleDialog } from "./review_rule.js";
import { tell } from "./told.js";

const page = document.querySelector("[data-review]");
const box = page.querySelector("[data-item]");
const nextBox = page.querySelector("[data-next]");
const mayDecide = page.dataset.may === "decide";
const mayLink = page.dataset.receipts === "write";
const mayRule = page.dataset.rules === "write";
const AHEAD = 10;
const FEW = 5; // so many in hand, and more are asked for
const AT_MOST = 50; // of a request
const SHOWN_NEXT = 8;

let items = []; // the first one is what the person looks at
const handled = new Set(); // answered, skipped or in hand: the queue may name them once more
const settling = new Set(); // groups that an answer for all is under way to: what the queue still names of them waits no more
const done = []; // what can be undone, the latest last: {at, ids, text}; without ids until it was carried out
let noted = 0;
let paths = new Map();
let categories = [];
let forAll = false;
let ahead = null;
let sending = Promise.resolve();
let underWay = 0; // what is sent, or is to be
let lessons = Number(page.dataset.lessons); // records that teach, as far as the first few are counted
let found = null; // where another category is found

const money = (record) => {
  if (record.amount === null) return null;
  const places = (record.amount.split(".")[1] || "").length;
  const text = new Intl.NumberFormat(undefined, { minimumFractionDigits: places }).format(record.amount);
  return element("span", { class: `amount ${record.amount.startsWith("-") ? "" : "amount-in"}` }, text.replace("-", "\u2212"), " ", element("span", { class: "currency" }, record.currency || ""));
};

const day = (value) => element("time", { datetime: value }, value.includes("T") ? value : new Date(`${value}T12:00`).toLocaleDateString(undefined, { dateStyle: "medium" }));

async function fill() {
  if (ahead || items.length >= FEW) return ahead;
  ahead = (async () => {
    let after = "";
    do {
      // What is in hand or under way is named once more.
      const limit = Math.min(AHEAD + items.length + underWay, AT_MOST);
      const got = await ask(`/review/items?limit=${limit}${after ? `&after=${encodeURIComponent(after)}` : ""}`);
      const fresh = got.items.filter((item) => !handled.has(item.id) && !settling.has(item.group_key));
      for (const item of fresh) handled.add(item.id);
      items.push(...fresh);
      after = fresh.length ? null : got.next;
    } while (after);
  })();
  try {
    await ahead;
  } finally {
    ahead = null;
  }
  return undefined;
}

function choiceButton(choice, place, item) {
  const suggested = choice.category_id === item.suggested_id;
  const why = choice.evidence.map((one) => one.words).join(" · ") || (suggested ? "Suggested" : "Often given");
  const style = `answer ${suggested ? "answer-suggested" : ""}`;
  const words = element("span", {}, element("span", { class: "answer-name d-block" }, paths.get(choice.category_id) || "?"), element("span", { class: "answer-why d-block" }, why));
  if (!mayDecide) return element("li", { class: style }, element("span", {}, `${place + 1}.`), words);
  const answer = { type: "button", class: style, onclick: () => give(choice.category_id) };
  return element("li", {}, element("button", answer, element("kbd", {}, String(place + 1)), words));
}

const button = (label, key, run, style = "outline-secondary", more = {}) =>
  element("button", { type: "button", class: `btn btn-${style}`, onclick: run, ...more }, label, " ", element("kbd", {}, key));

function draw() {
  found = null;
  const item = items[0];
  if (!item) {
    box.replaceChildren(page.querySelector("[data-empty]").content.cloneNode(true));
    sending.then(() => tell(box.querySelector("[data-told]"))).catch(complain);
    if (done.length) box.append(element("div", { class: "text-center" }, button("Undo", "u", () => undo())));
    nextBox.replaceChildren();
    return;
  }
  const { record } = item;
  const title = record.counterparty || record.text;
  const facts = [day(record.occurred_at), record.account, record.kind === "transaction" ? "" : record.kind, record.pending ? "pending" : ""];
  const line = element("div", { class: "text-body-secondary" });
  for (const fact of facts.filter(Boolean)) line.append(...(line.childNodes.length ? [" · "] : []), fact);
  const head = element(
    "div", { class: "review-record" },
    element("div", {}, element("h2", {}, title), line),
    element("div", {}, money(record)),
    record.counterparty ? element("p", { class: "review-text" }, record.text) : null,
  );
  const list = element("ol", { class: "answers", "aria-label": "Categories" }, ...item.candidates.map((choice, place) => choiceButton(choice, place, item)));
  found = finder(categories, { label: "Another category", take: ({ id }) => (box.focus(), give(id)), escaped: () => box.focus() });
  const actions = element("div", { class: "review-actions" });
  if (mayDecide) {
    if (item.suggested_id) actions.append(button("Approve", "\u21b5", approve, "primary"));
    if (item.alike > 1) {
      const label = `For all ${item.alike.toLocaleString()} alike`;
      actions.append(button(label, "x", toggleAll, forAll ? "warning" : "outline-secondary", { "aria-pressed": String(forAll) }));
    }
    actions.append(button("Skip", "s", skip));
    if (mayRule) actions.append(button("Make a rule", "r", makeRule));
    if (done.length) actions.append(button("Undo", "u", () => undo()));
  }
  actions.append(element("a", { class: "btn btn-link", href: `/records/${record.id}` }, "Its record"));
  box.replaceChildren(head, receiptsOf(item, mayLink ? link : null) ?? "", list, mayDecide ? found.box : "", actions);
  localise(box);
  drawNext();
}

function drawNext() {
  const following = items.slice(1, 1 + SHOWN_NEXT);
  nextBox.replaceChildren(...(following.length ? [
    element("h2", {}, "Next"),
    element("ol", {}, ...following.map((item) => element("li", {}, element("span", { class: "text-truncate" }, item.record.counterparty || item.record.text), money(item.record)))),
  ] : []));
}

async function go() {
  forAll = false;
  if (!items.length) {
    box.replaceChildren(element("p", { class: "text-body-secondary" }, "Loading …")); // not what was answered already
    try {
      await fill();
    } catch (problem) {
      if (!items.length) return fails(problem);
      complain(problem);
    }
  }
  draw();
  if (items.length >= FEW) return undefined;
  // After the answer that was just given, unless there is hardly anything in hand: both at once would take longer.
  (items.length > 2 ? sending : Promise.resolve()).then(fill).then(drawNext).catch(complain);
  return undefined;
}

// Nothing is in hand, and nobody knows whether more waits.
function fails(problem) {
  complain(problem);
  box.replaceChildren(element("p", {}, icon("exclamation-triangle"), " ", problem.message));
}

// What is sent later is sent in order. Where it fails, the item comes back, and with an answer for all those in hand that are `alike` (null for an
// answer to one); unless it was somebody else's by then: what is left of a group is asked for anew.
function send(item, run, entry = null, alike = null) {
  underWay += 1;
  sending = sending.then(run).finally(() => { underWay -= 1; }).catch((problem) => {
    if (done.includes(entry)) done.splice(done.indexOf(entry), 1);
    const title = item.record.counterparty || item.record.text;
    const gone = [404, 409].includes(problem.status);
    if (!gone) {
      complain(problem);
      items.unshift(item, ...(alike || []));
      go();
    } else if (alike) {
      toast(`Nothing was decided, as somebody answered one of them meanwhile: ${title}`, { tone: "danger", seconds: 10 });
      for (const one of [item, ...alike]) handled.delete(one.id);
      go();
    } else if (problem.status === 404) toast(`It waits no more, as its record is gone: ${title}`, { tone: "danger" });
    else toast(`Somebody else was quicker: ${title}`, { tone: "danger" });
  });
}

// Once the first answers are given, people are shown what came of them.
function taught(answers) {
  const first = Number(page.dataset.first);
  if (lessons >= first) return;
  lessons += answers;
  if (lessons < first) return;
  const show = () => location.assign("/review/learned");
  toast(`${first.toLocaleString()} answers are given, and being learned from.`, { action: { label: "See what it learned", run: show }, seconds: 20 });
}

// Can be undone from here on, even before it is carried out.
function note(text, ids = []) {
  const entry = { at: (noted += 1), ids, text };
  done.push(entry);
  toast(text, { action: { label: "Undo", run: () => undo(entry) } });
  return entry;
}

function give(categoryId) {
  const item = items[0];
  if (!mayDecide || !item) return;
  const approves = categoryId === item.suggested_id;
  const answer = approves ? { verdict: "approve", category_id: null } : { verdict: "override", category_id: categoryId };
  const path = paths.get(categoryId) || "?";
  items.shift();
  if (forAll && item.alike > 1) {
    const alike = items.filter((other) => other.group_key === item.group_key);
    items = items.filter((other) => other.group_key !== item.group_key);
    const entry = note(`All alike: ${path}`);
    settling.add(item.group_key);
    send(item, async () => {
      // An approval of a group needs one suggestion for all: named, it does for each what it is.
      const body = { verdict: "override", category_id: categoryId };
      const said = await ask(`/review/groups/${item.group_key}`, { method: "POST", body }).finally(() => settling.delete(item.group_key));
      entry.ids = said.ids;
      for (const id of said.ids) handled.add(id);
      taught(said.ids.length);
      toast(`${said.ids.length.toLocaleString()} alike: ${path}${said.remaining ? `; ${said.remaining.toLocaleString()} more wait still` : ""}`);
      for (const other of alike) if (!said.ids.includes(other.id)) handled.delete(other.id);
      if (!items.length) go(); // what is left of the group was held back
    }, entry, alike);
  } else {
    const entry = note(path);
    send(item, async () => {
      await ask("/review/decide", { method: "POST", body: { answers: [{ approval_id: item.id, ...answer }] } });
      entry.ids = [item.id];
      taught(1);
    }, entry);
  }
  go();
}

const approve = () => items[0]?.suggested_id && give(items[0].suggested_id);

function toggleAll() {
  if (items[0]?.alike > 1) {
    forAll = !forAll;
    draw();
  }
}

function skip() {
  const item = items.shift();
  if (!item) return;
  send(item, () => ask(`/review/items/${item.id}/skip`, { method: "POST" }));
  go();
}

// The latest, unless one is named. Where it fails it can be tried again, unless the server says that it is not to be taken back any more.
function undo(entry = done.at(-1)) {
  if (!done.includes(entry)) return; // it was taken back, or was not carried out
  done.splice(done.indexOf(entry), 1);
  sending = sending.then(async () => {
    if (!entry.ids.length) return; // it was not carried out, and that was said
    const waiting = await ask("/review/withdraw", { method: "POST", body: { ids: entry.ids } }).catch((problem) => {
      if (![404, 409].includes(problem.status)) {
        done.push(entry);
        done.sort((one, other) => one.at - other.at);
      }
      throw problem;
    });
    toast(`Taken back: ${entry.text}`);
    lessons -= entry.ids.length;
    const again = await ask(`/review/items/${waiting.ids[0]}`);
    handled.add(again.id);
    items = [again, ...items.filter((one) => one.id !== again.id)]; // which may have come with more that was asked for
    forAll = false; // it was meant for the item that stood there
    draw();
  }).catch(complain);
}

function link() {
  const item = items[0];
  const receipt = suggestedReceipt(item);
  if (receipt && mayLink) linkReceipt(item, receipt).then(() => items[0] === item && draw()).catch(complain);
}

function makeRule() {
  const item = items[0];
  if (!item || !mayRule) return;
  const first = item.suggested_id || item.candidates[0]?.category_id;
  ruleDialog({ item, categoryId: first, categories, paths }).then((made) => {
    if (!made) return;
    items = items.filter((one) => one !== item); // the first may be another by now
    note(`${paths.get(made.categoryId)}, and a rule`, [item.id]);
    taught(1);
    go();
  }).catch(complain);
}

function findAnother() {
  found?.input.focus();
  found?.open();
}

const KEYS = { Enter: approve, a: approve, c: findAnother, x: toggleAll, s: skip, u: undo, r: makeRule };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event) || document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && event.target.closest("a, button") && !event.target.closest(".toast-line")) return; // it is for that one
  const place = Number(event.key) - 1;
  const answer = items[0]?.candidates[place];
  const run = answer ? () => give(answer.category_id) : event.key === "p" ? link : mayDecide && KEYS[event.key];
  if (!run) return;
  event.preventDefault();
  if (!event.repeat) run(); // a key that is held down would answer what nobody has seen
});

try {
  const known = await ask("/review/categories");
  categories = known.items.map(({ id, path }) => ({ id, label: path }));
  paths = new Map(known.items.map(({ id, path }) => [id, path]));
  await go();
  box.focus();
} catch (problem) {
  fails(problem);
}
