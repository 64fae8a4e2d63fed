// Eye and link tell more when they are pointed at, focused or tapped: who, when, through what.
import { make } from "./make.js";

const tip = make("div", { className: "activity-tip", popover: "manual", id: "activity-tip" });
document.querySelector("main").append(tip);
tip.role = "tooltip";
const told = new Map();
let at = null, timer;

async function show(mark) {
  const url = mark.dataset.activity;
  const fetchText = async () => {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(answer.status);
    return answer.text();
  };
  if (!told.has(url)) told.set(url, fetchText());
  try {
    const html = await told.get(url);
    if (at !== mark || !mark.isConnected) return;
    tip.innerHTML = html;
    tip.showPopover();
    place(mark.getBoundingClientRect());
    mark.setAttribute("aria-describedby", tip.id);
  } catch { told.delete(url); }
  setTimeout(() => told.delete(url), 10_000);
}

function place(mark) {
  const { width, height } = tip.getBoundingClientRect(), edge = 12;
  const below = mark.bottom + 6 + height < innerHeight - edge;
  tip.style.left = `${Math.max(edge, Math.min(mark.right - width, innerWidth - width - edge))}px`;
  tip.style.top = `${below ? mark.bottom + 6 : Math.max(edge, mark.top - height - 6)}px`;
}

function hide() {
  clearTimeout(timer);
  at?.removeAttribute("aria-describedby");
  at = null;
  if (tip.matches(":popover-open")) tip.hidePopover();
}

function point(mark, wait) {
  if (mark === at) return;
  hide();
  at = mark;
  timer = setTimeout(show, wait, mark);
}

const markOf = (event) => event.target.closest?.("[data-activity]");
document.addEventListener("pointerover", (event) => {
  if (event.pointerType === "touch") return;
  const mark = markOf(event);
  if (mark) point(mark, 150);
  else if (at && !tip.contains(event.target) && document.activeElement !== at) hide();
});
document.addEventListener("focusin", (event) => { const mark = markOf(event); mark ? point(mark, 0) : hide(); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
document.addEventListener("click", (event) => {
  const mark = markOf(event);
  if (event.pointerType === "touch" && mark && !tip.matches(":popover-open")) {
    event.preventDefault();
    point(mark, 0);
  } else if (!mark && !tip.contains(event.target)) hide();
});
addEventListener("scroll", (event) => { if (!tip.contains(event.target)) hide(); }, { passive: true, capture: true });
