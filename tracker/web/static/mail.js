// The list of mail: keys, older mail by itself, figures, filter manners, and following what happens without losing the place.
const page = document.querySelector("[data-mail]");
const list = page.querySelector("[data-list]");
const filter = page.querySelector("[data-filter]");
const figures = page.querySelector("[data-figures]");
const rows = () => [...list.querySelectorAll("[data-row]")];
const part = (url, name) => { const there = new URL(url, location); there.searchParams.set("part", name); return there; };

async function fetchText(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(answer.status);
  return answer.text();
}

// Single keys act unless somebody types, or has switched them off in the list that "?" opens.
const keysAct = (event) => localStorage.getItem("inkling-keys") !== "off" && !event.defaultPrevented && !event.isComposing
  && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest?.("input, textarea, select, [contenteditable], dialog");

// --- j and k move, o opens, r replies
document.addEventListener("keydown", (event) => {
  if (!keysAct(event)) return;
  const all = rows(), at = all.findIndex((row) => row.contains(document.activeElement));
  const go = (row) => { row?.querySelector(".mail-open").focus(); row?.scrollIntoView({ block: "nearest" }); };
  if (event.key === "j") go(all[at < 0 ? 0 : at + 1]);
  else if (event.key === "k") go(all[at < 0 ? 0 : Math.max(0, at - 1)]);
  else if (event.key === "o" && at >= 0) all[at].querySelector(".mail-open").click();
  else if (event.key === "r" && at >= 0) location.href = all[at].dataset.reply;
  else return;
  event.preventDefault();
});

// --- older mail comes when the end comes near
const near = new IntersectionObserver(async ([entry]) => {
  const more = list.querySelector("[data-more]");
  if (!entry.isIntersecting || !more || more.ariaBusy) return;
  more.ariaBusy = "true";
  try {
    const html = await fetchText(part(more.querySelector("a").href, "more"));
    const focused = more.contains(document.activeElement);
    const last = rows().at(-1);
    more.insertAdjacentHTML("beforebegin", html);
    more.remove();
    if (focused) last.nextElementSibling?.querySelector("a")?.focus();
    watch();
  } catch { more.ariaBusy = null; }
}, { rootMargin: "600px" });
function watch() {
  near.disconnect();
  const more = list.querySelector("[data-more]");
  if (more) near.observe(more);
}
watch();

// --- what happens shows itself; the row that has the focus keeps it, the place stays
let waiting, stale = false;
async function refresh() {
  if (document.hidden || document.querySelector(".activity-tip:popover-open")) { stale = true; return; }
  stale = false;
  const html = await fetchText(part(location.href, "rows")).catch(() => null);
  if (html === null) return;
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  const key = document.activeElement.closest?.("[data-row]")?.dataset.row, mark = document.activeElement.dataset?.activity;
  const known = rows();
  if (known.length <= fresh.querySelectorAll("[data-row]").length) list.replaceChildren(...fresh.childNodes);
  else for (const row of fresh.querySelectorAll("[data-row]"))  // more was loaded than one page: change rows in their places
    list.querySelector(`[data-row="${CSS.escape(row.dataset.row)}"]`)?.replaceWith(row);
  const row = key && list.querySelector(`[data-row="${CSS.escape(key)}"]`);
  if (row) ((mark && row.querySelector(`[data-activity="${CSS.escape(mark)}"]`)) || row.querySelector(".mail-open")).focus({ preventScroll: true });
  watch();
  count();
}
const soon = () => { clearTimeout(waiting); waiting = setTimeout(refresh, 300); };
document.addEventListener("inkling:feed", soon);
document.addEventListener("visibilitychange", () => { if (!document.hidden && stale) soon(); });

// --- figures come after the list
async function count() { figures.innerHTML = await fetchText(figures.dataset.figures).catch(() => figures.innerHTML); }
count();

// --- the filter: Escape and a click elsewhere close it, empty fields stay out of the address
filter.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !filter.open) return;
  filter.open = false;
  filter.querySelector("summary").focus();
});
filter.addEventListener("toggle", () => { if (filter.open) filter.querySelector("input").focus(); });
document.addEventListener("click", (event) => { if (filter.open && !filter.contains(event.target)) filter.open = false; });
filter.querySelector("[data-filter-form]").addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});
