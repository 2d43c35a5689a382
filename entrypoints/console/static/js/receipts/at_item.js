// Receipts at an item of the review queue: those of its record, and the likeliest that is suggested.
import { ask } from "../api.js";
import { element, icon, toast } from "../dom.js";

const LINKED = "linked";

export const suggestedReceipt = (item) => item?.receipts?.find((one) => one.state !== LINKED);

function inShort(receipt) {
  const places = (receipt.amount?.split(".")[1] || "").length;
  const amount = receipt.amount && new Intl.NumberFormat(undefined, { minimumFractionDigits: places }).format(receipt.amount);
  const day = receipt.day && new Date(`${receipt.day}T12:00`).toLocaleDateString(undefined, { dateStyle: "medium" });
  return [amount && `${amount} ${receipt.currency || ""}`.trim(), day].filter(Boolean).join(", ");
}

// The list, or null where there are none. `link` does what the button of a suggested one is for; null shows no button.
export function receiptsOf(item, link) {
  if (!item.receipts?.length) return null;
  const row = (receipt) => {
    const linked = receipt.state === LINKED;
    const likely = receipt.score === null ? "suggested" : `${Math.round(receipt.score * 100)} % likely`;
    return element(
      "li", {},
      icon(linked ? "link-45deg" : "receipt"),
      element(
        "span", { class: "review-receipt" },
        element("a", { href: `/receipts/${receipt.receipt_id}` }, receipt.merchant || receipt.filename),
        element("span", { class: "text-body-secondary" }, [inShort(receipt), linked ? "its receipt" : likely].filter(Boolean).join(" · ")),
      ),
      linked || !link ? null : element("button", { type: "button", class: "btn btn-sm btn-outline-primary", onclick: link }, "Link it ", element("kbd", {}, "p")),
    );
  };
  return element("ul", { class: "review-receipts", "aria-label": "Receipts" }, ...item.receipts.map(row));
}

const underWay = new Set();

export async function linkReceipt(item, receipt) {
  if (underWay.has(receipt)) return;
  const body = new FormData();
  body.set("record_id", item.record.id);
  body.set("suggested", "1");
  underWay.add(receipt);
  await ask(`/receipts/${receipt.receipt_id}/link`, { method: "POST", body }).finally(() => underWay.delete(receipt));
  receipt.state = LINKED;
  toast(`Linked: ${receipt.merchant || receipt.filename}`);
}
