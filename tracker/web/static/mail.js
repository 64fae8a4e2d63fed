// The list of mail: older mail by itself, figures, and following what happens without losing the place. Keys are in mail_keys.js.
const page = document.querySelector("[data-mail]");
const list = page.querySelector("[data-list]");
const figures = page.querySelector("[data-figures]");
const rows = () => [...list.querySelectorAll("[data-row]")];
const part = (url, name) => { const there = new URL(url, location); there.searchParams.set("part", name); return there; };

async function fetchText(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(answer.status);
  return answer.text();
}

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
