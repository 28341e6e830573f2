// Hidden tabs do not ask, bars out of sight ask less often, and the bars of a page ask together.
// Each bar has htmx attributes of its own, and asks by itself where this script is missing. Here,
// htmx's request for one bar is cancelled, and another is sent for all that are due.
{
  const WRAPPER = "[data-progress-widget]";
  const SHOWN = `${WRAPPER} > [data-state]`;
  const BARS = `${SHOWN}[hx-get]`;
  const MOST = 50; // bars in one request
  const PATIENCE = 4_000; // ms: one answer that hangs must not hold them all for long
  const CALM = 5_000; // ms between two polls of a bar out of sight, or after a 503 that names no time
  const SLICE = 8; // ms of swapping at a stretch

  const asked = new WeakMap(); // when a bar was last asked for, by its wrapper, which is never swapped
  const unseen = new WeakSet(); // wrappers out of sight
  let mayJoin = true;
  let isAsking = false;
  let shownAt = 0;
  let waitUntil = 0;

  const now = () => performance.now();
  const all = (selector) => [...document.querySelectorAll(selector)];
  const keepsPace = (wrapper) => "keepsPace" in wrapper.dataset;
  const mayAsk = () => !document.hidden && now() >= waitUntil;

  // Nearly is enough: a bar whose timer is early would have to wait for it once more.
  const isDue = (bar, nearly = 0.9) => {
    const wrapper = bar.parentElement;
    const at = asked.get(wrapper);
    const interval = bar.getAttribute("hx-trigger").match(/\d+/)[0];
    const wait = interval * (keepsPace(wrapper) ? 0.9 : nearly);
    return !(at > shownAt) || now() - at >= Math.max(wait, unseen.has(wrapper) ? CALM : 0);
  };

  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) unseen.add(target);
      else if (unseen.delete(target)) {
        asked.set(target, -1);
        // When all are marked: the first one asks for all.
        queueMicrotask(() => target.querySelector(BARS)?.dispatchEvent(new Event("seen")));
      }
    }
  });

  const heed = (status, when) => {
    if (!when && status !== 429 && status !== 503) return;
    waitUntil = now() + (when * 1000 || Date.parse(when) - Date.now() || CALM);
  };

  // The answer leaves out what a bar has already of htmx's attributes.
  const complete = (fragment, bar) => {
    for (const { name, value } of bar.attributes) {
      if (!name.startsWith("hx-") || fragment.hasAttribute(name)) continue;
      fragment.setAttribute(name, value.replace(/&v=.*/, `&v=${fragment.dataset.version}`));
    }
  };

  // As hx-swap and hx-status say. htmx.swap() is public, but takes one object in htmx 4.
  const swap = (target, text) =>
    htmx.version < "4"
      ? htmx.swap(target, text, { swapStyle: "outerHTML", settleDelay: 60, transition: false })
      : htmx.swap({ sourceElement: target, target, text, swap: "outerMorph" });

  const show = async (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    let start = now();
    for (const fragment of template.content.children) {
      const shown = document.getElementById(fragment.id);
      if (shown?.matches(BARS)) {
        if (fragment.dataset.version) complete(fragment, shown); // otherwise it has finished
        await swap(shown, fragment.outerHTML);
      } else if (shown?.matches(`${WRAPPER} > [role=status]`)) {
        shown.textContent = fragment.textContent;
      }
      if (now() - start > SLICE) {
        await new Promise((resolve) => setTimeout(resolve)); // others have their turn
        start = now();
      }
    }
  };

  const ask = async (bars, headers) => {
    const size = all(WRAPPER).filter((wrapper) => asked.has(wrapper)).length;
    const urls = bars.map((bar) => bar.getAttribute("hx-get"));
    const body = [`${size} ${all(BARS).length}`, ...urls].join("\n");
    const folder = urls[0].replace(/[^/]+\/\?.*/, ""); // of "/progress/TOKEN/?k=…"
    const signal = AbortSignal.timeout(PATIENCE);
    const answer = await fetch(folder, { method: "POST", headers, body, signal });
    heed(answer.status, answer.headers.get("Retry-After"));
    // No such view, or something on the way allows no such POST: each bar asks by itself.
    mayJoin = answer.status < 400 || answer.status > 428;
    if (answer.status === 200) await show(await answer.text());
    return JSON.parse(answer.headers.get("HX-Trigger"));
  };

  const askTogether = async (headers) => {
    isAsking = true;
    await null; // until all that listen to htmx have had their say on the headers
    // Those that are soon due come along, so that all fall into step.
    let due = all(BARS).filter((bar) => isDue(bar, 0.5));
    while (due.length && mayJoin && mayAsk()) {
      const bars = due.splice(0, MOST).filter((bar) => bar.isConnected);
      const wrappers = bars.map((bar) => bar.parentElement);
      for (const wrapper of wrappers) asked.set(wrapper, now());
      // Where it fails, the bars stay as they are and ask again.
      const events = await ask(bars, headers).catch(() => null);
      const sender = wrappers.find((wrapper) => wrapper.isConnected) ?? document.body;
      for (const name in events) htmx.trigger(sender, name, events[name]);
      if (!due.length) due = all(BARS).filter((bar) => isDue(bar)); // or seen meanwhile
    }
    isAsking = false;
  };

  // Where htmx is about to send a request. When that is cancelled, both versions keep the trigger.
  const configured = (event) => {
    const bar = event.target;
    if (event.defaultPrevented || !bar.matches?.(SHOWN)) return; // the target may be the document
    if (!keepsPace(bar.parentElement)) observer.observe(bar.parentElement); // once more does nothing
    // Of two versions on a page, one may have morphed a bar for which the other's timer goes on.
    if (!bar.matches(BARS) || !mayAsk() || isAsking || !isDue(bar)) {
      event.preventDefault();
    } else if (mayJoin && window.htmx?.swap && all(BARS).length > 1) {
      event.preventDefault();
      // They include what the page hands down with hx-headers. Of htmx 2, of htmx 4:
      askTogether(event.detail.headers ?? event.detail.ctx.request.headers);
    } else {
      asked.set(bar.parentElement, now());
    }
  };
  const answered = ({ target, detail: { xhr, ctx } }) => {
    if (!target.matches?.(BARS)) return;
    if (xhr) heed(xhr.status, xhr.getResponseHeader("Retry-After"));
    else heed(ctx.response.status, ctx.response.headers.get("Retry-After"));
  };
  document.addEventListener("htmx:configRequest", configured); // htmx 2
  document.addEventListener("htmx:config:request", configured); // htmx 4
  document.addEventListener("htmx:afterRequest", answered); // htmx 2
  document.addEventListener("htmx:after:request", answered); // htmx 4
  // The page is new, so that a slow bar need not be asked for with a quick one.
  for (const bar of all(BARS)) asked.set(bar.parentElement, now());
  // Before htmx hears of it: a tab that is shown again asks at once.
  document.addEventListener("visibilitychange", () => (shownAt = now()), true);

  // The style element that htmx 2 would add is refused by a strict Content-Security-Policy.
  if (window.htmx && !document.querySelector('meta[name="htmx-config"]')) {
    window.htmx.config.includeIndicatorStyles = false;
  }
}
