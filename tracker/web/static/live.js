// Parts of a page that change by themselves: data-part and its companions are in docs/architecture.md.
const waiting = new Map(), stale = new Set();

const isBusy = (part) => document.hidden
  || part.querySelector("input:not([type=checkbox]):focus, select:focus, textarea:focus, [aria-describedby='activity-tip']");
const itemOf = (details) => details.closest("[data-row]")?.dataset.row ?? details.firstElementChild.textContent;

function soon(part, milliseconds = 300) {
  clearTimeout(waiting.get(part));
  waiting.set(part, setTimeout(refresh, milliseconds, part));
}

export async function refresh(part) {
  if (isBusy(part)) { stale.add(part); return; }
  stale.delete(part);
  const { part: url, tries } = part.dataset;
  const answer = await fetch(url || location.href, { redirect: "error" }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = url ? page.body : page.querySelector("[data-part='']");
  if (fresh) replace(part, fresh);
  if (tries) part.dataset.tries -= 1;
  if (tries !== "0") again(part);
}

function again(part) {
  if (part.dataset.every && part.querySelector("[data-waits]")) soon(part, part.dataset.every * 1000);
}

function replace(part, fresh) {
  const active = document.activeElement, focus = part.contains(active) && selectorOf(active);
  const open = new Set([...part.querySelectorAll("details[open]")].map(itemOf));
  const ticked = [...part.querySelectorAll("input[type=checkbox][id]:checked:not([name])")].map((box) => box.id);
  if ("isLonger" in part.dataset) {  // older rows were added to it: change rows in their places
    for (const row of fresh.querySelectorAll("[data-row]"))
      part.querySelector(`[data-row="${CSS.escape(row.dataset.row)}"]`)?.replaceWith(row);
  } else part.replaceChildren(...fresh.childNodes);
  for (const details of part.querySelectorAll("details")) if (open.has(itemOf(details))) details.open = true;
  for (const id of ticked) if (part.querySelector(`#${id}`)) part.querySelector(`#${id}`).checked = true;
  if (focus) sameAs(active, [...part.querySelectorAll(focus)])?.focus({ preventScroll: true });
  part.dispatchEvent(new CustomEvent("inkling:live", { bubbles: true }));
}

// The same element in a fresh copy of the part: of several that of its words.
const sameAs = ({ textContent }, all) => all.find((one) => one.textContent === textContent) ?? (all.length === 1 ? all[0] : null);
function selectorOf(element) {
  const { row } = element.closest("[data-row]")?.dataset ?? {};
  if (element.localName === "summary") return row ? `[data-row="${CSS.escape(row)}"] summary` : "summary";
  const name = ["id", "data-activity", "href"].find((name) => element.hasAttribute(name));
  if (name) return `[${name}="${CSS.escape(element.getAttribute(name))}"]`;
  const form = element.closest("form");
  return form && `form[action="${CSS.escape(form.getAttribute("action"))}"] ${element.localName}`;
}

const partsOf = (when) => document.querySelectorAll(`[data-part][data-when~="${when}"]`);
document.addEventListener("inkling:feed", () => partsOf("feed").forEach((part) => soon(part)));
document.addEventListener("visibilitychange", () => { if (!document.hidden) stale.forEach((part) => soon(part)); });
partsOf("load").forEach(refresh);
partsOf("feed").forEach(again);
