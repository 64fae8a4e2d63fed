// Small manners of every page: relative times go on, forms are not sent twice, destructive buttons ask first.
const lang = document.documentElement.lang;
const words = new Intl.RelativeTimeFormat(lang, { numeric: "always", style: "short" });
const STEPS = [[86400, "day"], [3600, "hour"], [60, "minute"]];

function age(time) {
  const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
  const step = STEPS.find(([length]) => Math.abs(seconds) >= length);
  if (step) time.textContent = words.format(Math.trunc(seconds / step[0]), step[1]);
}
setInterval(() => document.querySelectorAll("time[data-ago]").forEach(age), 30_000);

// <form data-once data-busy="Testing …">: the second click on a slow day does nothing, and the button says what goes on.
// <form data-confirm="Really?">: asks.
document.addEventListener("submit", (event) => {
  const form = event.target, ask = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (ask && !confirm(ask)) { event.preventDefault(); return; }
  if (!form.hasAttribute("data-once")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  form.setAttribute("aria-busy", "true");
  const words = event.submitter?.querySelector("span");
  if (form.dataset.busy && words) words.textContent = form.dataset.busy;
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => {
  delete form.dataset.sent;
  form.removeAttribute("aria-busy");
}));

// <details data-popover>: Escape and a click elsewhere close it, and one is open at a time.
const popovers = () => document.querySelectorAll("details[data-popover][open]");
document.addEventListener("toggle", ({ target }) => {
  if (!target.open || !target.matches?.("details[data-popover]")) return;
  for (const other of popovers()) if (!other.contains(target)) other.open = target === other;
}, true);
document.addEventListener("click", ({ target }) => {
  for (const one of popovers()) if (!one.contains(target)) one.open = false;
});
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && [...popovers()].at(-1);
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
  event.preventDefault();
});

// What a sentence offers to take back has left: the sentence goes.
document.addEventListener("inkling:live", ({ target }) => {
  const offer = document.querySelector("[data-flash] form");
  const same = (form) => form.action === offer.action;
  if (offer && target.querySelector(".message-actions") && ![...target.querySelectorAll("form")].some(same))
    offer.closest("[data-flash]").remove();
});

// Days and times are written as the page's language has them, also in a browser that speaks another one.
if (!navigator.language.toLowerCase().startsWith(lang) && document.querySelector("[type=date], [type=time], [type=datetime-local]"))
  import("./date_fields.js");

// The tab one is on can be seen, however narrow the window.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// <button data-copy="text">: copies and says so by its data-copied word.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.querySelector("span").textContent = button.dataset.copied;
});

// Without a connection the page says since when it knows nothing new.
const offline = document.querySelector("[data-offline]");
function noteConnection() {
  offline.hidden = navigator.onLine;
  if (!navigator.onLine) offline.querySelector("time").textContent = new Date().toLocaleTimeString(lang, { timeStyle: "short", hourCycle: "h23" });
}
for (const change of ["offline", "online"]) addEventListener(change, noteConnection);
if (!navigator.onLine) noteConnection();
