// The list of mailboxes follows what happens: at once when letters come, and every few seconds while one is checked or read.
const list = document.querySelector("[data-mailboxes]");
let waiting;

async function refresh() {
  if (document.hidden || list.contains(document.activeElement)) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-mailboxes]");
  if (fresh) list.replaceChildren(...fresh.childNodes);
}
if (list) {
  document.addEventListener("inkling:feed", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 400); });
  setInterval(() => { if (list.querySelector("[data-waiting]")) refresh(); }, 4000);
}
