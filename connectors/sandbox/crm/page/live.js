// Follows changes: on a signal the page is fetched again, and of its live parts
// those are replaced that differ. Nothing else moves, forms are left alone.
"use strict";
(() => {
  const lamp = document.getElementById("live");
  const scroll = document.getElementById("scroll");
  const toEnd = () => { if (scroll) scroll.scrollTop = scroll.scrollHeight; };
  const say = (on) => {
    lamp.classList.toggle("off", !on);
    lamp.querySelector("b").textContent = on ? "live" : "reconnecting";
  };

  let busy = false, again = false;
  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (answer.status === 404) { location.href = "/"; return; }
      if (!answer.ok) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const atEnd = scroll && scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = next.getElementById(part.id);
        if (fresh && fresh.innerHTML !== part.innerHTML) {
          const focused = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
          part.replaceChildren(...fresh.childNodes);
          if (focused) part.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
        }
      }
      if (atEnd) toEnd();
    } catch { /* the stream says when the server is back */ } finally {
      busy = false;
      if (again) { again = false; refresh(); }
    }
  }

  if (!location.hash) toEnd();
  const source = new EventSource("/events");
  let opened = false;
  source.onopen = () => { say(true); if (opened) refresh(); opened = true; };
  source.onerror = () => say(false);
  source.onmessage = refresh;
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); });
})();
