// What may come at a place in a condition, by what stands before it. Knows words, and nothing of pages.

const TOKEN = /\s+|"(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?|attributes(?:\.(?:[\p{L}\p{N}_-]+|"(?:[^"\\]|\\.)*"?))*\.?|[\p{L}_][\p{L}\p{N}_]*(?:-[\p{L}\p{N}_]+)*|[+-]?[\d.]+(?:-\d+)*|<=|>=|<>|!=|==|[^\s]/gsu;
const JOINS = ["and", "or"];
const AFTER_VALUE = [{ label: "and" }, { label: "or" }, { label: "case_sensitive", hint: "compare as stored" }];
const OPS = ["=", "==", "!=", "<>", "<", "<=", ">", ">=", "equals", "contains", "matches", "regex", "in", "between"];

// The tokens up to `at`; the last one is what is being written, if there is no space after it.
export function tokens(text, at) {
  const found = [];
  for (const match of text.slice(0, at).matchAll(TOKEN)) {
    found.push({ text: match[0], from: match.index, blank: /^\s+$/.test(match[0]) });
  }
  return found;
}

// Where one is: {from, prefix, kind: "start" | "op" | "value" | "join", field, op}.
export function placeOf(text, at) {
  const all = tokens(text, at);
  const last = all.at(-1);
  const writing = last && !last.blank && !["(", ",", "[", ")", "]"].includes(last.text) && !OPS.includes(last.text) ? last : null;
  const before = all.filter((token) => !token.blank && token !== writing).map((token) => token.text);
  const place = { from: writing ? writing.from : at, prefix: writing ? writing.text : "", field: "", op: "" };
  const state = read(before, place);
  return { ...place, kind: state };
}

// A small automaton over the words before: what is to come next.
function read(words, place) {
  let state = "start";
  let depth = 0;
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i].toLowerCase();
    if (state === "start") {
      if (["(", "not", "all", "any", ","].includes(word)) continue;
      place.field = words[i];
      state = "op";
    } else if (state === "op") {
      if (word === "not") continue;
      if (word === "(") { state = "params"; depth = 1; continue; }
      if (["starts", "ends"].includes(word)) { place.op = word; state = "with"; continue; }
      place.op = word;
      state = word === "in" ? "list" : word === "between" ? "low" : "value";
    } else if (state === "with") { place.op = `${place.op} with`; state = "value"; }
    else if (state === "params") {
      if (word === "(") depth += 1;
      if (word === ")" && (depth -= 1) === 0) state = "join";
    } else if (state === "list") { if ([")", "]"].includes(word)) state = "join"; }
    else if (state === "low") { if (word === "and") state = "value"; }
    else if (state === "value") state = "join";
    else if (state === "join" && (JOINS.includes(word) || word === ",")) { state = "start"; place.field = ""; place.op = ""; }
  }
  return { list: "value", low: "value", with: "with" }[state] || state;
}

const quoted = (value) => `"${value.replace(/[\\"]/g, "\\$&")}"`;

// As a value is written: bare where it may be, in quotes otherwise.
export function written(value, field, words) {
  const prose = ["text", "counterparty", "anywhere"].includes(field);
  if (/^-?\d+(\.\d+)?$/.test(value)) return prose ? quoted(value) : value;
  const bare = /^[A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*$/.test(value) && !words.reserved.includes(value.toLowerCase()) && value.toLowerCase() !== "record";
  return bare && !prose ? value : quoted(value);
}

const MOST = 12;

// What is offered there; `asked` for by the person, or while they type.
export function offers(text, at, words, asked) {
  const place = placeOf(text, at);
  const prefix = place.prefix.replace(/^["']/, "").toLowerCase();
  if (!asked && !prefix && place.kind !== "op") return null;
  const fits = (label) => label.toLowerCase().includes(prefix);
  const first = (options) =>
    options.filter((option) => fits(option.label))
      .sort((a, b) => Number(b.label.toLowerCase().startsWith(prefix)) - Number(a.label.toLowerCase().startsWith(prefix)))
      .slice(0, MOST);
  let options = [];
  if (place.kind === "start") {
    options = first([
      ...words.fields.map((field) => ({ label: field.name, insert: `${field.name} `, hint: field.hint, again: true })),
      ...words.types.map((type) => ({ label: type.name, insert: `${type.name}()`, hint: type.hint })),
      { label: "not", insert: "not " },
    ]);
  } else if (place.kind === "op") {
    const field = words.fields.find((one) => one.name === place.field.toLowerCase());
    const all = field ? field.ops : place.field.startsWith("attributes.") ? words.fields.flatMap((one) => one.ops) : [];
    options = first([...new Set(all)].map((op) => ({ label: op, insert: op === "in" ? "in (" : `${op} `, again: true })));
  } else if (place.kind === "with") options = first([{ label: "with", insert: "with ", again: true }]);
  else if (place.kind === "value") {
    const values = words.values[place.field] || (["text", "anywhere"].includes(place.field) ? words.values.counterparty : []) || [];
    options = first(values.map(({ value, hint }) => ({ label: value, insert: `${written(value, place.field, words)} `, hint })));
    if (options.some((option) => option.label.toLowerCase() === prefix)) options = [];
  } else if (place.kind === "join") options = first(AFTER_VALUE.map((option) => ({ insert: `${option.label} `, again: option.label !== "case_sensitive", ...option })));
  if (options.length === 1 && options[0].label.toLowerCase() === prefix && !asked) return null;
  return options.length ? { from: place.from, to: at, options } : null;
}
