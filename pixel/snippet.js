/*! Inkling site snippet 1.0
 * Copyright (c) 2026 the Inkling authors. ISC licence:
 * Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided
 * that the above copyright notice and this permission notice appear in all copies. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY
 * OF ANY KIND, EXPRESS OR IMPLIED. IN NO EVENT SHALL THE AUTHORS BE LIABLE FOR ANY DAMAGES ARISING FROM ITS USE.
 *
 * Shows each visitor an address of their own where the page has the company's. It changes text and attributes and nothing else,
 * never what a person types, and takes every change back with et.restore(). Whatever fails, the page stays as it was.
 */
(function () {
  "use strict";
  var SITE = /*SITE*/ {};
  var LATE = 2000;
  var PASSES_A_SECOND = 50;
  var REWRITES = 5;
  var REWRITES_WITHIN = 10000;
  var CODE = "[a-hjkmnp-tv-z2-9]{9}";
  var ALPHABET = "abcdefghjkmnpqrstvwxyz23456789";
  var NEVER = "input,textarea,select,option,script,style,template,noscript,iframe,object,svg title,[contenteditable]," +
    "[data-et-skip]";
  var LIVE = "[aria-live]:not([aria-live=off]),[role=alert],[role=status],[role=log]";
  var NAMES = ["href", "title", "aria-label", "data-email", "data-clipboard-text"];
  var HYDRATED = "#__next,#__nuxt,#___gatsby,[data-reactroot],[data-server-rendered],[ng-version],[ng-server-context]," +
    "[data-v-app],[data-hk],[q\\:container],astro-island,[data-sveltekit-preload-data],[data-svelte-h],script[type=module]";

  var win = window, doc = document;
  var mark = "__inkling_" + SITE.key;
  if (!SITE.key || win[mark]) return;
  try { Object.defineProperty(win, mark, { value: true }); } catch (e) { return; }

  // What zone.js has replaced would keep a page of Angular from ever being stable.
  function native(name) { var own = win["__zone_symbol__" + name]; return typeof own === "function" ? own : win[name]; }
  function later(call, ms) { return native("setTimeout").call(win, guarded(call), ms); }
  function listen(target, name, call) {
    (target.__zone_symbol__addEventListener || target.addEventListener).call(target, name, guarded(call), { capture: true, passive: true });
  }
  function guarded(call) { return function (a) { try { return call(a); } catch (e) { /* the page goes on */ } }; }

  var script = doc.currentScript;
  function asked(name) { return !!(script && script.hasAttribute("data-" + name)); }
  var option = { wait: asked("wait"), shadow: asked("shadow") };
  var landing = { page: location.href, referrer: doc.referrer };
  var view = landing;             // the page that is told of
  var at = location.href;         // where the visitor was when it was told of last
  var rules = null;               // what is shown now
  var told = "";                  // the same as text
  var expires = 0, stale = 0;     // moments on the page's own clock
  var consented = !SITE.consent, running = false, paused = false, asking = 0, failures = 0, notBefore = 0;
  var matcher = null, observers = [], roots = [];

  // --- what is remembered of the visitor, in this browser

  var memory = {};
  function place() { return "_et_" + SITE.key; }
  function load() {
    var kept = {};
    try { kept = JSON.parse(win.localStorage.getItem(place()) || "{}") || {}; } catch (e) { /* none */ }
    var id = kept.v || cookie() || memory.v;
    memory.z = kept.z || memory.z;
    return { v: id, s: kept.s || memory.s, h: kept.h || memory.h };
  }
  function save(v, s, h) {
    memory = { v: v, s: s, h: h, z: memory.z };
    var kept = false;
    try {
      win.localStorage.setItem(place(), text(memory));
      kept = true;
    } catch (e) { /* none */ }
    return writeCookie(v) || kept;
  }
  function cookie() {
    try {
      var found = doc.cookie.match(new RegExp("(?:^|; )" + place() + "=([\\w-]{8,64})"));
      return found ? found[1] : "";
    } catch (e) { return ""; }
  }
  var inCookie = "", isKept = false;
  // Each look at a cookie waits for another process: the same is written once.
  function writeCookie(value) {
    if (value && value === inCookie) return isKept;
    inCookie = value;
    return (isKept = putCookie(value));
  }
  function putCookie(value) {
    try {
      var host = location.hostname, domain = "";
      (SITE.hosts || []).forEach(function (own) {
        if (host === own || host.slice(-own.length - 1) === "." + own) if (own.length > domain.length) domain = own;
      });
      var tail = "; path=/; max-age=" + (value ? (SITE.days || 400) * 86400 : 0) + "; samesite=lax" +
        (location.protocol === "https:" ? "; secure" : "");
      var whole = domain.indexOf(".") > 0 && !/^[\d.]+$/.test(domain) ? "; domain=" + domain : "";
      doc.cookie = place() + "=" + value + tail + whole;
      if (!value || cookie() === value) return true;
      if (whole) doc.cookie = place() + "=" + value + tail; // a public suffix: this host alone
      return whole ? cookie() === value : false;
    } catch (e) { return false; }
  }
  function newId() {
    var bytes = new Uint8Array(16), id = "";
    try { win.crypto.getRandomValues(bytes); } catch (e) { return ""; }
    for (var i = 0; i < 16; i++) id += ("0" + bytes[i].toString(16)).slice(-2);
    return id;
  }
  function forget() {
    memory = {};
    try { win.localStorage.removeItem(place()); } catch (e) { /* none */ }
    writeCookie("");
  }

  // JSON by hand: libraries of long ago gave arrays and strings a toJSON of their own.
  function text(value) {
    if (value === null || value === undefined) return "null";
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    if (typeof value === "string") {
      return '"' + value.replace(/["\\\u0000-\u001f\u2028\u2029]|[\ud800-\udbff](?![\udc00-\udfff])|(^|[^\ud800-\udbff])[\udc00-\udfff]/g,
        function (c) { return c.split("").map(function (u) {
          return "\\u" + ("000" + u.charCodeAt(0).toString(16)).slice(-4); }).join(""); }) + '"';
    }
    var parts = [], i, name;
    if (Object.prototype.toString.call(value) === "[object Array]") {
      for (i = 0; i < value.length; i++) parts.push(text(value[i]));
      return "[" + parts.join(",") + "]";
    }
    for (name in value) if (Object.prototype.hasOwnProperty.call(value, name)) parts.push(text(name) + ":" + text(value[name]));
    return "{" + parts.join(",") + "}";
  }

  // --- asking the edge

  function resolve() {
    if (!consented || asking || Date.now() < notBefore) return;
    at = location.href;
    var known = load(), mine = ++resolve.count, began = Date.now();
    var visitor = known.v || newId();
    var stored = save(visitor, known.s, known.h);
    asking = mine;
    var body = text({
      key: SITE.key, visitor: visitor, session: known.s || "", held: known.h || "", storage: stored,
      page: view.page.slice(0, 3000), referrer: (view.referrer || "").slice(0, 1500),
      screen: win.screen ? screen.width + "x" + screen.height : "", language: navigator.language || "",
      timezone: zone(), webdriver: navigator.webdriver === true, selectors: standing(), addresses: written()
    });
    function failed() {
      if (asking !== mine) return;
      asking = 0;
      notBefore = Date.now() + Math.min(60000 * Math.pow(2, failures++), 3600000);
    }
    later(failed, LATE);
    native("fetch").call(win, SITE.url + "/et/v1/resolve", { method: "POST", body: body, mode: "cors", credentials: "omit" })
      .then(function (answer) { return answer.ok ? answer.json() : null; })
      .then(guarded(function (answer) {
        if (asking !== mine) return;
        if (!answer || !consented || Date.now() - began > LATE) return failed();
        asking = failures = 0;
        if (answer.visitor) save(answer.visitor, answer.session, answer.held);
        stale = Date.now() + (answer.ttl || 1800) * 1000;
        expires = answer.expires ? Date.now() + answer.expires * 1000 : 0;
        show(answer.rules || []);
      }), failed).then(null, failed);
  }
  resolve.count = 0;

  // A page that asks for the zone's name first loads all languages of the world, tens of milliseconds: that waits for somebody who
  // stays, and is remembered. Until then the distance from UTC does.
  function zone() {
    var away = -new Date().getTimezoneOffset(), size = Math.abs(away);
    var offset = "UTC" + (away < 0 ? "-" : "+") + ("0" + Math.floor(size / 60)).slice(-2) + ("0" + size % 60).slice(-2);
    var known = (memory.z || "").split(" ");
    return known[1] === offset ? known[0] : (zone.offset = offset);
  }
  function nameZone() {
    if (!zone.offset || !memory.v) return;
    try { memory.z = Intl.DateTimeFormat().resolvedOptions().timeZone + " " + zone.offset; } catch (e) { return; }
    zone.offset = "";
    save(memory.v, memory.s, memory.h);
  }

  function beacon(kind, address) {
    var known = load();
    if (!consented || !known.v || !navigator.sendBeacon) return;
    navigator.sendBeacon(SITE.url + "/et/v1/beacon", text({
      key: SITE.key, visitor: known.v, session: known.s || "", kind: kind, address: address || "", page: location.href.slice(0, 1500)
    }));
  }

  // --- where the site's blocks stand on this page

  function css(selector) {
    var value = selector.value, escape = win.CSS && CSS.escape;
    if (selector.attribute === "selector") return value;
    if (!escape) return "";
    if (selector.attribute === "id") return "#" + escape(value);
    if (selector.attribute === "class") return "." + value.trim().split(/\s+/).map(function (c) { return escape(c); }).join(".");
    return '[name="' + escape(value) + '"]';
  }
  function elements(selector) {
    var found = [];
    searched().forEach(function (root) {
      try { found = found.concat([].slice.call(root.querySelectorAll(css(selector)))); } catch (e) { /* no selector */ }
    });
    return found;
  }
  function standing() {
    var html = null;
    return (SITE.selectors || []).filter(function (selector) {
      if (selector.attribute !== "email") return elements(selector).length > 0;
      if (html === null) html = everything();
      return html.indexOf(selector.value.toLowerCase()) >= 0;
    });
  }
  function everything() {
    var all = doc.body ? doc.body.textContent : "";
    all += [].map.call(doc.querySelectorAll("a[href^='mailto:' i]"), function (a) { return " " + decoded(a.getAttribute("href")); });
    all = all.toLowerCase();
    return all.indexOf("+") < 0 ? all : all.replace(new RegExp("\\+" + CODE + "@", "g"), "@");
  }
  function written() {
    var seen = [];
    [].slice.call(doc.querySelectorAll("a[href^='mailto:' i]"), 0, 50).forEach(function (a) {
      var found = decoded(a.getAttribute("href").slice(7).split("?")[0]).split(",")[0].trim().toLowerCase();
      if (found.indexOf("@") > 0 && seen.indexOf(found) < 0 && seen.length < 10) seen.push(found);
    });
    return seen;
  }
  function decoded(part) { try { return decodeURIComponent(part); } catch (e) { return part; } }

  // --- what to put in place of what

  function isOurs(code) {
    var total = 0, i, at;
    code = code.toLowerCase();
    for (i = 0; i < 9; i++) {
      at = ALPHABET.indexOf(code.charAt(8 - i));
      if (at < 0) return false;
      if (i % 2 === 1) at = Math.floor(2 * at / 30) + 2 * at % 30;
      total += at;
    }
    return total % 30 === 0;
  }
  function quoted(part) { return part.replace(/[.*+?^${}()|[\]\\\/-]/g, "\\$&"); }

  function makeMatcher(list) {
    var finds = {}, patterns = [], inside = [];
    list.forEach(function (rule, order) {
      if (rule.find) {
        var key = rule.find.toLowerCase(), at = key.lastIndexOf("@");
        if (finds[key]) return;
        finds[key] = { show: rule.show, order: order };
        patterns.push("(" + quoted(key.slice(0, at)) + ")(\\+" + CODE + ")?(" + quoted(key.slice(at)) + ")");
      } else inside.push({ selectors: rule.selectors, show: rule.show, order: order });
    });
    return {
      finds: finds, inside: inside,
      exact: patterns.length ? new RegExp(patterns.join("|"), "giu") : null,
      any: inside.length ? /[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+/giu : null
    };
  }
  var WORD = /[\p{L}\p{N}]/u;
  function bounded(whole, start, end) {
    var before = whole.slice(Math.max(0, start - 2), start), after = whole.slice(end, end + 3);
    if (before && (/[._%+-]$/.test(before) || (WORD.test(before.slice(-1)) || (before.length > 1 && WORD.test(before) && /[\udc00-\udfff]$/.test(before))))) return false;
    if (!after) return true;
    if (after.charAt(0) === "-" || WORD.test(String.fromCodePoint(after.codePointAt(0)))) return false;
    return !(after.charAt(0) === "." && after.length > 1 && WORD.test(String.fromCodePoint(after.codePointAt(1))));
  }
  // The base of an address that carries one of our codes; anything else as it is.
  function base(address) {
    var found = address.match(new RegExp("^(.+)\\+(" + CODE + ")(@.+)$", "i"));
    return found && isOurs(found[2]) ? found[1] + found[3] : address;
  }
  function inCase(original, shown) { return original !== original.toLowerCase() && original === original.toUpperCase() ? shown.toUpperCase() : shown; }

  // `heal`: our codes become the base again, and nothing is shown in its place.
  function substitute(whole, element, heal) {
    var owner = ownerOf(element), made = "", last = 0, found;
    function others(part) {
      return owner ? part.replace(matcher.any, function (address) {
        var original = base(address).replace(/[.-]+$/, "");
        return heal ? original : inCase(original, owner.show);
      }) : part;
    }
    if (matcher.exact) {
      matcher.exact.lastIndex = 0;
      while ((found = matcher.exact.exec(whole))) {
        var original = base(found[0]), rule = matcher.finds[original.toLowerCase()];
        if (!rule || !bounded(whole, found.index, found.index + found[0].length)) continue;
        if (owner && owner.order < rule.order) rule = owner;
        made += others(whole.slice(last, found.index)) + (heal ? original : inCase(original, rule.show));
        last = found.index + found[0].length;
      }
    }
    return made + others(whole.slice(last));
  }
  var owners = new WeakMap();
  function findOwners() {
    owners = new WeakMap();
    matcher.inside.forEach(function (rule) {
      rule.selectors.forEach(function (selector) {
        elements(selector).forEach(function (element) { if (!owners.has(element)) owners.set(element, rule); });
      });
    });
  }
  function ownerOf(element) {
    if (!matcher.inside.length) return null;
    for (; element; element = element.parentElement) if (owners.has(element)) return owners.get(element);
    return null;
  }

  function substituteHref(whole, element, heal) {
    if (!/^\s*mailto:/i.test(whole)) return whole;
    var cut = whole.indexOf("?"), list = cut < 0 ? whole : whole.slice(0, cut), query = cut < 0 ? "" : whole.slice(cut);
    var head = list.match(/^\s*mailto:/i)[0];
    function each(part) {
      return part.split(/(,|%2c)/i).map(function (one) {
        var plain = decoded(one), around = plain.match(/^(\s*(?:[^<]*<)?)([^<>]*?)(>?\s*)$/);
        if (!around || around[2].indexOf("@") < 0) return one;
        var shown = substitute(around[2], element, heal);
        if (shown === around[2]) return one;
        return one.indexOf(around[2]) >= 0 ? one.replace(around[2], function () { return shown.replace(/\+/g, "%2B"); })
          : encodeURIComponent(around[1]).replace(/%20/g, "%20") + shown.replace(/\+/g, "%2B") + encodeURIComponent(around[3]);
      }).join("");
    }
    return head + each(list.slice(head.length)) + query.replace(/([?&](?:to|cc|bcc)=)([^&#]*)/gi, function (all, name, value) {
      return name + each(value);
    });
  }

  // --- the document: text nodes and attributes, each with its original

  var records = new WeakMap(), touched = [], writes = 0;
  function recordOf(node, name) {
    var all = records.get(node);
    return all ? all[name] : undefined;
  }
  function remember(node, name, original, ours) {
    var all = records.get(node);
    if (!all) { records.set(node, all = {}); touched.push(win.WeakRef ? new WeakRef(node) : { deref: function () { return node; } }); }
    var record = all[name] || (all[name] = { times: [] });
    record.original = original; record.ours = ours; record.page = resolve.count;
    record.times.push(Date.now());
    if (record.times.length > REWRITES) record.times.shift();
    return record;
  }
  function mayTouch(element) {
    if (!element || element.closest(NEVER)) return false;
    var root = element.getRootNode(), focused = root.activeElement;
    return !(focused && focused !== doc.body && focused !== doc.documentElement && focused.contains(element) && editable(focused));
  }
  function editable(element) { return element.isContentEditable || /^(?:textbox|searchbox|combobox)$/.test(element.getAttribute("role") || ""); }

  function swap(node, name, element, current, write, make) {
    var record = recordOf(node, name), original = current;
    if (record) {
      if (record.frozen) return;
      if (current === record.ours) original = record.original;
      else if (current === record.original && wars(record)) { record.frozen = true; return; }
    }
    var healed = make(original, element, true);
    var ours = make(healed, element, false);
    if (ours === current) { if (!record && healed !== current) remember(node, name, healed, ours); return; }
    if (record && current === record.ours && element.closest(LIVE) && record.page === view.number) return;
    if (!mayTouch(element)) return;
    remember(node, name, healed, ours);
    write(ours);
    writes++;
  }
  function wars(record) { return record.times.length >= REWRITES && Date.now() - record.times[0] < REWRITES_WITHIN; }

  function swapText(node) {
    var value = node.nodeValue;
    if (value.indexOf("@") < 0) return;
    var element = node.parentElement;
    if (!element) return;
    swap(node, "", element, value, function (ours) { node.nodeValue = ours; }, substitute);
    if (!records.has(node)) swapSplit(element);
  }
  // info<span>@</span>site.ru: the first text takes the local part, the elements stay.
  function swapSplit(element) {
    for (var up = 0; up < 2 && element && element !== doc.body; up++, element = element.parentElement) {
      if (!element.firstElementChild || element.textContent.length > 254) continue;
      var whole = element.textContent.trim(), shown = matcher.exact ? substitute(whole, element, false) : whole;
      if (whole.indexOf("@") < 0 || /\s/.test(whole) || shown === whole || !mayTouch(element)) continue;
      var first = doc.createTreeWalker(element, 4).nextNode();
      while (first && !first.nodeValue.trim()) first = null;
      if (!first) return;
      var own = first.nodeValue.trim(), rest = whole.slice(own.length);
      if (own.indexOf("@") >= 0 || shown.slice(-rest.length) !== rest) return;
      var written = first.nodeValue.replace(own, function () { return shown.slice(0, shown.length - rest.length); });
      remember(first, "", first.nodeValue, written);
      first.nodeValue = written;
      writes++;
      return;
    }
  }
  function swapAttributes(element) {
    for (var i = 0; i < NAMES.length; i++) {
      var name = NAMES[i], value = element.getAttribute(name);
      if (value === null || (value.indexOf("@") < 0 && value.indexOf("%40") < 0)) continue;
      if (name === "href" && !/^\s*mailto:/i.test(value)) continue;
      swap(element, name, element, value, setter(element, name), name === "href" ? substituteHref : substitute);
    }
  }
  function setter(element, name) { return function (ours) { element.setAttribute(name, ours); }; }

  var WITH_ATTRIBUTES = "a[href],area[href],[title],[aria-label],[data-email],[data-clipboard-text]";
  function swapUnder(node) {
    if (node.nodeType === 3) return swapText(node);
    if (node.nodeType !== 1 && node.nodeType !== 9 && node.nodeType !== 11) return;
    if (node.nodeType === 1) swapAttributes(node);
    var walker = doc.createTreeWalker(node, 4), found, list = [];
    while ((found = walker.nextNode())) if (found.nodeValue.indexOf("@") >= 0) list.push(found);
    list.forEach(swapText);
    [].forEach.call(node.querySelectorAll(WITH_ATTRIBUTES), swapAttributes);
    if (option.shadow) [].forEach.call(node.querySelectorAll("*"), function (element) { if (element.shadowRoot) watch(element.shadowRoot); });
  }
  function searched() { return [doc].concat(roots); }
  function watch(root) {
    if (roots.indexOf(root) >= 0) return;
    roots.push(root);
    if (running) { observe(root); swapUnder(root); }
  }

  function show(list) {
    var now = text(list);
    if (now === told && rules) return;
    if (!list.length && !rules) { told = now; return; }
    // what leaves the list goes back to the original first
    var before = matcher;
    rules = list; told = now;
    matcher = makeMatcher(list);
    whenReady(function () {
      if (before) { var next = matcher; matcher = before; giveBack(list); matcher = next; }
      begin();
      pass(true);
    });
  }
  function giveBack(kept) {
    var shown = {};
    kept.forEach(function (rule) { if (rule.find) shown[rule.find.toLowerCase()] = true; });
    var all = Object.keys(matcher.finds).every(function (find) { return shown[find]; });
    if (!all || matcher.inside.length) takeBack();
  }
  function takeBack() {
    var list = touched; touched = [];
    list.forEach(function (reference) {
      var node = reference.deref(), all = node && records.get(node);
      if (!all) return;
      Object.keys(all).forEach(function (name) {
        var record = all[name], current = name ? node.getAttribute(name) : node.nodeValue;
        if (current !== record.ours || record.ours === record.original) return;
        if (name) node.setAttribute(name, record.original); else node.nodeValue = record.original;
      });
      records.delete(node);
    });
    ignoreOwn();
  }

  // --- passes over what the page changes

  var changed = new Set(), waiting = false, whole = false, pause = 0, crowded = 0;
  function observe(root) {
    var Observer = native("MutationObserver");
    var observer = new Observer(guarded(function (list) {
      if (changed.size > 400) whole = true;
      else for (var i = 0; i < list.length; i++) {
        var record = list[i];
        if (record.type === "childList") for (var j = 0; j < record.addedNodes.length; j++) changed.add(record.addedNodes[j]);
        else changed.add(record.target);
      }
      schedule();
    }));
    observer.observe(root, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: NAMES });
    observers.push(observer);
  }
  function ignoreOwn() { observers.forEach(function (observer) { observer.takeRecords(); }); }
  function schedule() {
    if (waiting || paused) return;
    waiting = true;
    var wait = Math.max(1000 / PASSES_A_SECOND, pause);
    if (wait <= 1000 / PASSES_A_SECOND && doc.visibilityState === "visible") native("requestAnimationFrame").call(win, guarded(run));
    else later(run, wait);
  }
  function run() { waiting = false; pass(whole); }
  function pass(all) {
    if (!running || paused || !matcher || isOver()) { changed.clear(); return; }
    var began = performance.now(), list = changed;
    changed = new Set(); whole = false;
    if (matcher.inside.length) findOwners();
    if (all) searched().forEach(function (root) { swapUnder(root === doc ? doc.body : root); });
    else list.forEach(function (node) { if (node.isConnected) swapUnder(node); });
    ignoreOwn();
    var now = performance.now(), cost = now - began;
    crowded = now - (pass.at || 0) < 60 ? crowded + 1 : 0;
    pass.at = now;
    // never more than a few hundredths of the processor, however busy the page is
    pause = crowded > 10 ? Math.min(Math.max(40 * cost, 250), 2000) : Math.min(30 * cost, 1000);
    if (crowded > 10) crowded = 8;
    moved();
  }
  function begin() {
    if (running) return;
    running = true;
    if (option.shadow) [].forEach.call(doc.querySelectorAll("*"), function (e) { if (e.shadowRoot) roots.push(e.shadowRoot); });
    observe(doc.body);
    roots.forEach(observe);
  }

  // --- when the page is ready to be changed

  function whenReady(call) {
    if (doc.readyState === "loading") return listen(doc, "DOMContentLoaded", function () { whenReady(call); });
    if (!option.wait && !hydrates()) return call();
    if (doc.readyState !== "complete") return listen(win, "load", function () { later(function () { whenReady(call); }, 0); });
    var idle = win.requestIdleCallback;
    if (idle) idle.call(win, guarded(call), { timeout: 500 }); else later(call, 200);
  }
  function hydrates() {
    if (doc.querySelector(HYDRATED) || win.__NUXT__ || win.__remixContext || win.__reactRouterContext || win.__VUE__) return true;
    var walker = doc.createTreeWalker(doc.body, 128), found, left = 200;
    while (left-- && (found = walker.nextNode())) if (/^(?:\/?\$[?!]?| |\[|\]|)$/.test(found.nodeValue)) return true;
    return false;
  }

  // --- views, and coming back to one

  function path(url) {
    try {
      var parts = new URL(url);
      return { way: parts.origin + parts.pathname + (/^#[!\/]/.test(parts.hash) ? parts.hash : ""), query: parts.search };
    } catch (e) { return { way: url, query: "" }; }
  }
  function moved() {
    if (!consented || location.href === at) return;
    var here = path(location.href), before = path(at);
    if (here.way === before.way && (here.query === before.query || !here.query)) return;
    if (moved.soon) return;
    moved.soon = true;
    later(function () {
      moved.soon = false;
      here = path(location.href); before = path(at);
      if (here.way === before.way && (here.query === before.query || !here.query)) return;
      view = { page: location.href, referrer: at, number: resolve.count + 1 };
      resolve();
    }, 50);
  }
  function isOver() { return expires > 0 && Date.now() > expires; }
  function back() {
    if (doc.visibilityState === "hidden" || !rules) return;
    if (isOver()) { takeBack(); told = ""; }
    if (isOver() || Date.now() > stale) { view = { page: view.page, referrer: view.page, number: view.number }; resolve(); }
  }

  var active = 0, lively = 0;
  function alive(event) {
    if (!event.isTrusted) return;
    if (isOver()) return back();
    active = Date.now();
    if (active - lively < 60000) return;
    lively = active;
    if (rules) beacon("view"); else lively = 0;
    nameZone();
  }
  function shownIn(selected) {
    var found = "";
    (rules || []).forEach(function (rule) { if (selected.toLowerCase().indexOf(rule.show.toLowerCase()) >= 0) found = found || rule.show; });
    return found;
  }

  function start() {
    view.number = resolve.count + 1;
    listen(doc, "click", function (event) {
      var link = event.target && event.target.closest && event.target.closest("a[href],area[href]");
      var address = link && recordOf(link, "href") && shownIn(decoded(link.getAttribute("href")));
      if (address) beacon("click", address);
    });
    listen(doc, "copy", function () {
      var selection = doc.getSelection && doc.getSelection(), address = selection && shownIn(String(selection));
      if (address) beacon("copy", address);
    });
    ["pointerdown", "keydown", "scroll", "touchstart"].forEach(function (name) { listen(doc, name, alive); });
    listen(win, "popstate", moved);
    listen(win, "hashchange", moved);
    if (win.navigation && win.navigation.addEventListener) listen(win.navigation, "currententrychange", moved);
    listen(win, "pageshow", function (event) { if (event.persisted) back(); });
    listen(doc, "visibilitychange", back);
    if (doc.readyState === "loading") listen(doc, "DOMContentLoaded", resolve); else resolve();
  }

  var et = {
    consent: function (given) {
      if (given) { if (!consented) { consented = true; resolve(); } return; }
      if (consented) beacon("withdrawal");
      consented = false; asking = 0;
      et.restore();
      observers.forEach(function (observer) { observer.disconnect(); });
      observers = []; running = false; rules = null; matcher = null; told = "";
      forget();
    },
    restore: function () { paused = true; takeBack(); if (matcher && running) healRest(); },
    swap: function () { paused = false; if (matcher) pass(true); },
    watch: function (root) { if (root) watch(root); },
    visitor: function () { return load().v || null; }
  };
  // Copies of our text that the page made (a translation, a snapshot) become the base again.
  function healRest() {
    function heal(node, name, value, make) {
      var healed = make(value, name === "" ? node.parentElement : node, true);
      if (healed !== value && mayTouch(name === "" ? node.parentElement : node)) { if (name) node.setAttribute(name, healed); else node.nodeValue = healed; }
    }
    searched().forEach(function (root) {
      var walker = doc.createTreeWalker(root === doc ? doc.body : root, 4), found;
      while ((found = walker.nextNode())) if (found.nodeValue.indexOf("@") >= 0 && found.parentElement) heal(found, "", found.nodeValue, substitute);
    });
    ignoreOwn();
  }
  var queued = (win.et && win.et.q) || [];
  if (!win.et || win.et.q) win.et = et;
  Object.keys(et).forEach(function (name) { et[name] = guarded(et[name]); });
  queued.forEach(guarded(function (call) { if (et[call[0]]) et[call[0]](call[1]); }));

  if (doc.prerendering) listen(doc, "prerenderingchange", start); else guarded(start)();
})();
