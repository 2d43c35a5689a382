// Instants in the person's own time. Days of a calendar stay as they are.
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function localise(root = document) {
  for (const time of root.querySelectorAll("time[datetime*='T']")) time.textContent = format.format(new Date(time.dateTime));
}
