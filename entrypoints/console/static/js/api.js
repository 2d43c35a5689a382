// How pages ask the server: with the token of their form, and with errors as the server words them.

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || "Something went wrong.");
    this.status = status;
    this.code = body.code || "";
    this.errors = body.errors || {};
  }
}

const token = () => document.querySelector('meta[name="form-token"]').content;

// Resolves to what the server answers (an object, or null where it has nothing to say); rejects with a Problem.
// `body` is sent as JSON, or as it is where it is FormData. With `etag`, a 304 resolves to undefined.
export async function ask(path, { method = "GET", body, etag, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Form-Token"] = token();
  if (etag) headers["If-None-Match"] = etag;
  if (body !== undefined && !(body instanceof FormData)) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, { method, headers, body, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The server cannot be reached: nothing was changed. Try again in a moment." });
  }
  if (answer.status === 304) return undefined;
  if (answer.status === 401) {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    return new Promise(() => {}); // the page is left
  }
  const kind = answer.headers.get("Content-Type") || "";
  const said = kind.includes("json") ? await answer.json() : null;
  if (!answer.ok) throw new Problem(answer.status, said || { detail: `The server answered ${answer.status}.` });
  if (said && typeof said === "object") {
    Object.defineProperty(said, "etag", { value: answer.headers.get("ETag"), enumerable: false });
  }
  return said;
}

// Asks again and again while the page is looked at, until `seen` says true; `seen` gets what changed alone.
export async function poll(path, seen, seconds = 1.5) {
  let etag;
  for (;;) {
    if (!document.hidden) {
      try {
        const said = await ask(path, { etag });
        if (said !== undefined) {
          etag = said.etag;
          if (seen(said)) return;
        }
      } catch (problem) {
        if (problem.status !== 0 && problem.status < 500) throw problem;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}
