// Eye and link tell more when they are pointed at, focused or tapped: who, when, through what. The card stands below its row,
// beside the icons, and lets clicks through; it stays while the pointer is on its way to it or on it (WCAG 1.4.13).
import { make } from "./make.js";

const tip = make("div", { className: "activity-tip", popover: "manual", id: "activity-tip" });
document.querySelector("main").append(tip);
tip.role = "tooltip";
const told = new Map();
let at = null, timer, leaving;

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
    if (at !== mark) return;
    if (!mark.isConnected) at = mark = document.querySelector(`[data-activity="${url}"]:hover`); // its row is a new one
    if (!mark) return;
    tip.innerHTML = html;
    tip.showPopover();
    place(mark);
    mark.setAttribute("aria-describedby", tip.id);
  } catch { told.delete(url); }
  setTimeout(() => told.delete(url), 10_000);
}

function place(mark) {
  const { width, height } = tip.getBoundingClientRect(), edge = 12;
  const row = (mark.closest("[data-row]") ?? mark).getBoundingClientRect();
  const icons = (mark.closest(".mail-icons") ?? mark).getBoundingClientRect();
  const below = row.bottom + 2 + height < innerHeight - edge;
  tip.style.left = `${Math.max(edge, Math.min(icons.left - width - 4, innerWidth - width - edge))}px`;
  tip.style.top = `${below ? row.bottom + 2 : Math.max(edge, row.top - height - 2)}px`;
}

function hide() {
  clearTimeout(timer);
  clearTimeout(leaving);
  leaving = null;
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
const isOver = ({ clientX: x, clientY: y }) => {
  const { left, right, top, bottom } = tip.getBoundingClientRect();
  return tip.matches(":popover-open") && x >= left && x <= right && y >= top && y <= bottom;
};
document.addEventListener("pointermove", (event) => {
  if (event.pointerType === "touch") return;
  const mark = markOf(event);
  if (mark) point(mark, 150);
  if (mark || isOver(event)) { clearTimeout(leaving); leaving = null; }
  else if (at && document.activeElement !== at) leaving ??= setTimeout(hide, 200);
});
document.addEventListener("focusin", (event) => { const mark = markOf(event); mark ? point(mark, 0) : hide(); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
document.addEventListener("click", (event) => {
  const mark = markOf(event);
  if (event.pointerType === "touch" && mark && !tip.matches(":popover-open")) {
    event.preventDefault();
    point(mark, 0);
  } else if (!mark) hide();
});
addEventListener("scroll", hide, { passive: true, capture: true });
