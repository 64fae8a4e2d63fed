// The live bell. One tab of a browser listens for all; each hint makes every tab fetch the truth again.

// Parts that follow must listen before anything is told; elsewhere they come with the first look at the bell.
const loadLive = () => import("./live.js");
if (document.querySelector("[data-when]")) await loadLive();
const refreshPart = async (part) => (await loadLive()).refresh(part);

const bell = document.querySelector("[data-bell]");
const badge = document.querySelector("[data-bell-count]");
const panel = document.querySelector("[data-bell-panel]");
const title = document.title.replace(/^\(.*?\) /, "");
const tabs = new BroadcastChannel("inkling-feed");
let last = document.body.dataset.feedAfter, leads = false;

const rings = () => globalThis.Notification?.permission === "granted";

async function refresh() {
  const answer = await fetch("/notifications/state");
  if (answer.status === 401) { location.reload(); return; }
  if (!answer.ok) return;
  const { unread, newest } = await answer.json();
  const notation = unread < 10_000 ? "standard" : "compact";
  const short = unread.toLocaleString(document.documentElement.lang, { notation });
  badge.textContent = short;
  badge.hidden = !unread;
  bell.setAttribute("aria-label", bell.dataset.label.replace("{}", unread));
  document.title = unread ? `(${short}) ${title}` : title;
  if (leads && rings()) (await import("./desktop_notifications.js")).showOnDesktop(newest);
  if (panel.matches(":popover-open")) await refreshPart(panel);
}

let waiting;
function told(hint) {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 150);  // a burst of hints is one look
  document.dispatchEvent(new CustomEvent("inkling:feed", { detail: hint }));
}
tabs.addEventListener("message", ({ data }) => told(data));

function listen() {
  const source = new EventSource(`/feed?after=${last}`);
  let lost = false;
  const pass = (hint) => { tabs.postMessage(hint); told(hint); };
  for (const kind of ["notification", "message", "letter"])
    source.addEventListener(kind, (event) => { last = event.lastEventId; pass(JSON.parse(event.data)); });
  source.addEventListener("open", () => { if (lost) pass({ kind: "gap" }); lost = false; });
  source.addEventListener("error", () => {
    lost = true;
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  });
}
// The lock is held as long as the tab lives; when it closes, another tab gets it.
const lead = () => { leads = true; listen(); if (rings()) refresh(); return new Promise(() => {}); };
navigator.locks ? navigator.locks.request("inkling-feed", lead) : lead();
addEventListener("pageshow", (event) => { if (event.persisted) told({ kind: "gap" }); });

// The bell is a link to a page; with scripts it opens a panel instead.
bell.addEventListener("click", async (event) => {
  event.preventDefault();
  bell.focus();  // also when a key pressed it: to here Escape leads back
  if (panel.matches(":popover-open")) { panel.hidePopover(); return; }
  await refreshPart(panel);
  panel.togglePopover(true);
  panel.querySelector("button")?.focus();
});
panel.addEventListener("toggle", (event) => {
  bell.setAttribute("aria-expanded", event.newState === "open");
  const focus = document.activeElement;
  if (event.newState === "closed" && (focus === document.body || panel.contains(focus))) bell.focus();
});
panel.addEventListener("submit", async (event) => {
  if (!event.target.matches("[data-bell-readings]")) return;
  event.preventDefault();
  await fetch(event.target.action, { method: "POST", body: new URLSearchParams() });
  told({ kind: "gap" });
});
