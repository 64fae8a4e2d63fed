// Lists by keyboard: j and k move, o opens, r replies, and what a row has buttons for; and the manners of the filter.
import { areOn, isTyping } from "./single_keys.js";

const list = document.querySelector("[data-list]");
const filter = document.querySelector("[data-filter]");
const rows = () => [...list.querySelectorAll("[data-row]")];

// --- j and k move, o opens, r replies; <button data-row-key="e"> in a row is pressed by e
document.addEventListener("keydown", (event) => {
  if (isTyping(event) || !areOn()) return;
  const all = rows();
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const go = (row) => { row?.querySelector(".mail-open").focus(); row?.scrollIntoView({ block: "nearest" }); };
  const button = all[at]?.querySelector(`[data-row-key="${CSS.escape(event.key)}"]`);
  if (event.key === "j") go(all[at < 0 ? 0 : at + 1]);
  else if (event.key === "k") go(all[at < 0 ? 0 : Math.max(0, at - 1)]);
  else if (event.key === "o" && at >= 0) all[at].querySelector(".mail-open").click();
  else if (event.key === "r" && all[at]?.dataset.reply) location.href = all[at].dataset.reply;
  else if (button) { sessionStorage.setItem("inkling-row", `${at} ${location.href}`); button.click(); }
  else return;
  event.preventDefault();
});

// A key that did something to a row leaves the hand where it was: on the row that follows.
const [place, ...page] = (sessionStorage.getItem("inkling-row") ?? "").split(" ");
sessionStorage.removeItem("inkling-row");
if (page.join(" ") === location.href) rows()[Math.min(place, rows().length - 1)]?.querySelector(".mail-open").focus();

// --- the filter: its first field has the focus, empty fields stay out of the address
filter?.addEventListener("toggle", () => { if (filter.open) filter.querySelector("input").focus(); });
filter?.querySelector("[data-filter-form]").addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});
