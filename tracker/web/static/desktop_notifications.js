// Desktop notifications: only where they were turned on, in this browser. What rings is the server's to say.
const read = (key) => JSON.parse(localStorage.getItem(key) ?? "null");
const write = (key, value) => localStorage.setItem(key, JSON.stringify(value));

export const isOn = () =>
  Boolean(read("inkling-ring")?.on) && "Notification" in window && Notification.permission === "granted";

// What was shown once is not shown again, in whichever tab; `silently` only remembers.
export function showOnDesktop(lines, silently = false) {
  if (!isOn()) return;
  const shown = new Set(read("inkling-shown") ?? []);
  const fresh = lines.filter((line) => !shown.has(line.version));
  if (!fresh.length) return;
  write("inkling-shown", [...shown, ...fresh.map((line) => line.version)].slice(-200));
  if (silently) return;
  for (const line of fresh.slice(0, 3))
    new Notification("Inkling", { body: line.text, tag: line.id, icon: "/static/favicon.svg" }).onclick = () => {
      window.focus();
      location.href = "/notifications";
    };
}

// The switch, on the page that has it.
const section = document.querySelector("[data-ring]");
if (section) {
  const on = section.querySelector("[data-ring-desktop]");
  on.checked = isOn();
  const save = () => write("inkling-ring", { on: on.checked });
  on.addEventListener("change", async () => {
    if (on.checked && (await Notification.requestPermission()) !== "granted") {
      on.checked = false;
      section.querySelector("[data-ring-denied]").hidden = false;
    }
    save();
    if (on.checked) showOnDesktop((await (await fetch("/notifications/state")).json()).newest, true);
  });
}
