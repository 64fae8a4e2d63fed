// Desktop notifications: only where they were turned on, in this browser, for the chosen kinds.
const read = (key) => JSON.parse(localStorage.getItem(key) ?? "null");
const write = (key, value) => localStorage.setItem(key, JSON.stringify(value));

export const isOn = () => Boolean(read("inkling-ring")?.on) && "Notification" in window && Notification.permission === "granted";

// What was shown once is not shown again, in whichever tab; `silently` only remembers.
export function showOnDesktop(lines, silently = false) {
  if (!isOn()) return;
  const shown = new Set(read("inkling-shown") ?? []), { kinds } = read("inkling-ring");
  const fresh = lines.filter((line) => !shown.has(line.version));
  if (!fresh.length) return;
  write("inkling-shown", [...shown, ...fresh.map((line) => line.version)].slice(-200));
  if (silently) return;
  for (const line of fresh.filter((line) => kinds.includes(line.kind)).slice(0, 3))
    new Notification("Inkling", { body: line.text, tag: line.id, icon: "/static/favicon.svg" }).onclick = () => {
      window.focus();
      location.href = "/notifications";
    };
}

// The switches, on the page that has them.
const section = document.querySelector("[data-ring]");
if (section) {
  const on = section.querySelector("[data-ring-desktop]");
  const kinds = [...section.querySelectorAll("[data-ring-kinds] input")];
  const before = read("inkling-ring");
  on.checked = isOn();
  if (before) for (const kind of kinds) kind.checked = before.kinds.includes(kind.value.split(" ")[0]);
  const save = () => write("inkling-ring", {
    on: on.checked, kinds: kinds.filter((kind) => kind.checked).flatMap((kind) => kind.value.split(" ")),
  });
  for (const kind of kinds) kind.addEventListener("change", save);
  on.addEventListener("change", async () => {
    if (on.checked && (await Notification.requestPermission()) !== "granted") {
      on.checked = false;
      section.querySelector("[data-ring-denied]").hidden = false;
    }
    save();
    if (on.checked) showOnDesktop((await (await fetch("/notifications/state")).json()).newest, true);
  });
}
