// One message: news come by themselves, and what is looked at counts as read.
const page = document.querySelector("[data-message]");
const live = page.querySelector("[data-live]");
const read = () => fetch(`${page.dataset.message}/reading`, { method: "POST", body: new URLSearchParams() });

async function refresh() {
  const answer = await fetch(`${page.dataset.message}?part=live`);
  if (!answer.ok || answer.redirected) return;
  const open = [...live.querySelectorAll("details")].map((one) => one.open && one.closest("li")?.dataset.event);
  const at = live.contains(document.activeElement) && document.activeElement.closest("form")?.getAttribute("action");
  live.innerHTML = await answer.text();
  for (const event of open.filter(Boolean)) live.querySelector(`[data-event="${CSS.escape(event)}"] details`)?.setAttribute("open", "");
  if (at) live.querySelector(`form[action="${CSS.escape(at)}"] button`)?.focus({ preventScroll: true });
}

let waiting;
document.addEventListener("inkling:feed", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { refresh(); if (!document.hidden) read(); }, 300);
});
if (!document.hidden) read();
document.addEventListener("visibilitychange", () => { if (!document.hidden) { refresh(); read(); } });
