// The switch for notifications in this browser: permission is asked for when somebody turns it on, and only then.
import { choice, choose, isOn, showOnDesktop, startPush, stopPush } from "./desktop_notifications.js";

const section = document.querySelector("[data-ring]");
const on = section.querySelector("[data-ring-desktop]");
const say = (name) => {
  for (const words of section.querySelectorAll("[data-ring-said]")) words.hidden = words.dataset.ringSaid !== name;
};
const sayWhatIs = () => say(!isOn() ? "" : choice().push ? "pushed" : "tab");

async function turnOn() {
  if ((await Notification.requestPermission()) !== "granted") {
    on.checked = false;
    say("denied");
    return;
  }
  choose({ on: true });
  showOnDesktop((await (await fetch("/notifications/state")).json()).newest, true);
  const push = await startPush();
  if (!on.checked) return stopPush();
  choose({ on: true, push });
  sayWhatIs();
}

async function turnOff() {
  choose({ on: false });
  say("");
  await stopPush();
}

on.checked = isOn();
sayWhatIs();
on.addEventListener("change", () => on.checked ? turnOn() : turnOff());
