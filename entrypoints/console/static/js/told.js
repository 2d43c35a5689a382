// What was learned so far, in a sentence of the server's: the line is shown once there is something to tell.
import { ask } from "./api.js";

export async function tell(line) {
  const { lessons, told } = await ask("/review/learned/told");
  if (!lessons || !line) return;
  line.textContent = told;
  line.hidden = false;
}
