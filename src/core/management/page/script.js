
"use strict";
(() => {
  const live = document.getElementById("live");
  const names = document.body.dataset.events.split(" ");
  // Without the name and password that a browser may have been given in the address.
  const here = new URL(location.pathname, location.origin);
  let source, ticking, waiting, again, busy = false;

  const show = (word, mood) => {
    live.textContent = word;
    live.className = mood;
  };

  // A fresh copy of this page says what there is to say.
  const refresh = async () => {
    waiting = undefined;
    if (busy) return soon();
    busy = true;
    try {
      const answer = await fetch(here, { cache: "no-store" });
      // A new key, for example: whoever looks shall not be asked for it again and again.
      if (answer.status === 401 || answer.status === 403) {
        stop();
        return show("no longer allowed: reload this page", "off");
      }
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      // Of another program: its own script knows what to do.
      const own = (copy, part) => copy.querySelector(part).textContent;
      const other = (part) => own(fresh, part) !== own(document, part);
      if (other("style") || other("body > script")) return location.reload();
      // Not under the eyes of somebody who marks or reads something.
      if (getSelection().isCollapsed && !document.querySelector("details[open]")) {
        document.querySelector("main").replaceWith(fresh.querySelector("main"));
        document.title = fresh.title;
      }
      if (source && source.readyState === EventSource.OPEN) show("live", "on");
    } catch {
      show("not reachable", "off");
    } finally {
      busy = false;
    }
  };
  const soon = () => { waiting ??= setTimeout(refresh, 200); };

  const follow = () => {
    source = new EventSource(new URL("api/events", here));
    source.onopen = () => { show("live", "on"); soon(); };
    source.onerror = () => {
      if (live.className !== "off") show("reconnecting", "");
      soon();
      // Refused, and not tried again by the browser.
      if (source.readyState === EventSource.CLOSED) {
        again = setTimeout(() => { if (!document.hidden) start(); }, 10000);
      }
    };
    for (const name of names) source.addEventListener(name, soon);
  };

  const stop = () => {
    if (source) source.close();
    clearInterval(ticking);
    clearTimeout(again);
    clearTimeout(waiting);
    waiting = undefined;
  };
  const start = () => {
    stop();
    follow();
    // Figures change without an event.
    ticking = setInterval(soon, 5000);
  };

  document.addEventListener("visibilitychange", () => { document.hidden ? stop() : start(); });
  if (!document.hidden) start();
})();
