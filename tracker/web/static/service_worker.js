// Tells of news while no page is open. It keeps no pages: what is shown is always fetched anew.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  const { id, text, page } = event.data.json();
  const shown = { body: text, tag: id, renotify: true, icon: "/static/icon-192.png", data: { page } };
  event.waitUntil(self.registration.showNotification("Inkling", shown));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show(new URL(event.notification.data.page, self.location.origin).href));
});

async function show(page) {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const open = windows.find((window) => window.url === page);
  return open ? open.focus() : self.clients.openWindow(page);
}

// The browser has changed its address: the new one takes the place of the old.
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil((async () => {
  const old = event.oldSubscription;
  const now = event.newSubscription ?? (old && await self.registration.pushManager.subscribe(old.options));
  if (!now) return;
  const { endpoint, keys } = now.toJSON();
  await fetch("/push/subscriptions", { method: "POST", body: new URLSearchParams({ endpoint, ...keys }) });
})()));
