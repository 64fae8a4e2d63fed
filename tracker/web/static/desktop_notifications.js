// Notifications outside of the page: only where they were turned on, in this browser, by this person. What rings is the server's
// to say. A browser that can be pushed to is told by its worker, also while no page is open; any other by an open tab.
const read = (key) => JSON.parse(localStorage.getItem(key) ?? "null");
const write = (key, value) => localStorage.setItem(key, JSON.stringify(value));
const { user } = document.body.dataset;
export const choice = () => {
  const ring = read("inkling-ring");
  return ring && (ring.user ?? user) === user ? ring : {};
};

export const choose = (ring) => write("inkling-ring", { user, ...ring });

export const isOn = () =>
  Boolean(choice().on) && "Notification" in window && Notification.permission === "granted";

// What was shown once is not shown again, in whichever tab; `silently` only remembers.
export function showOnDesktop(lines, silently = false) {
  if (!isOn()) return;
  const shown = new Set(read("inkling-shown") ?? []);
  const fresh = lines.filter((line) => !shown.has(line.version));
  if (!fresh.length) return;
  write("inkling-shown", [...shown, ...fresh.map((line) => line.version)].slice(-200));
  if (silently || choice().push) return;
  for (const line of fresh.slice(0, 3))
    new Notification("Inkling", { body: line.text, tag: line.id, icon: "/static/icon-192.png" }).onclick = () => {
      window.focus();
      location.href = line.page;
    };
}

const post = (path, words = {}) => fetch(path, { method: "POST", body: new URLSearchParams(words) });
const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes ?? [])))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// Subscribes this browser, or makes sure that it still is; whether it is.
export async function startPush() {
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) return false;
  sessionStorage.setItem("inkling-pushed", user);
  try {
    await navigator.serviceWorker.register("/service-worker.js");
    const { pushManager } = await navigator.serviceWorker.ready;
    const { key } = await (await post("/push/key")).json();
    let subscription = await pushManager.getSubscription();
    if (subscription && base64url(subscription.options.applicationServerKey) !== key) {
      await subscription.unsubscribe();
      subscription = null;
    }
    subscription ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    const { endpoint, keys } = subscription.toJSON();
    return (await post("/push/subscriptions", { endpoint, ...keys })).ok;
  } catch {
    return false;  // no push service, or none that can be reached: open tabs tell
  }
}

export async function stopPush() {
  const registration = await navigator.serviceWorker?.getRegistration("/");
  const subscription = await registration?.pushManager.getSubscription();
  if (!subscription) return;
  await post("/push/subscriptions/removal", { endpoint: subscription.endpoint });
  await subscription.unsubscribe();
}

// Once in a tab's life: a subscription ends with the sign-in that it was made in.
if (isOn() && sessionStorage.getItem("inkling-pushed") !== user)
  startPush().then((push) => isOn() && choose({ on: true, push }));
