// SPDX-License-Identifier: MPL-2.0

// The server that the browsers visit: it serves pages with stick, delays what a scenario
// wants delayed, and keeps the reports.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { eventually } from "./program.js";

const STATIC = "../../packages/django-metlog/src/django_metlog/static/";

/** Scripts, by the name that pages give them. */
const SCRIPTS = {
  "stick.js": `${STATIC}stick.js`,
  "stick-all.js": `${STATIC}stick-all.js`,
  "htmx.js": "../../node_modules/htmx.org/dist/htmx.min.js",
  "htmx2.js": "../../node_modules/htmx2/dist/htmx.min.js",
  "turbo.js": "../../node_modules/@hotwired/turbo/dist/turbo.es2017-umd.js",
};

/** Everything that stick reports. */
const ALL = `<script src="stick-all.js" data-url="record" data-vitals data-visits
  data-errors data-attribution data-fields="device_type connection" defer></script>`;

const PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>';

/** What extensions, tag managers and polyfills do to a page, by name. */
export const MEDDLERS = {
  "beacon throws": "navigator.sendBeacon = () => { throw new TypeError('Illegal invocation'); };",
  "beacon is missing": "delete Navigator.prototype.sendBeacon;",
  "beacon is null": "navigator.sendBeacon = null;",
  "beacon does nothing": "navigator.sendBeacon = () => {};",
  "beacon refuses": "navigator.sendBeacon = () => false;",
  "fetch is rejected": "window.fetch = () => Promise.reject(new TypeError('refused'));",
  "nothing may outlive the page": `
    navigator.sendBeacon = () => false;
    const { fetch } = window;
    window.fetch = (url, init = {}) =>
      init.keepalive ? Promise.reject(new TypeError("quota")) : fetch(url, init);`,
  "quota is full": `
    navigator.sendBeacon("held", "x".repeat(65000));`, // of 65536
  "URLSearchParams is a polyfill": `
    const Native = URLSearchParams;
    window.URLSearchParams = class {
      #params;
      constructor(init) { this.#params = new Native(init); }
      toString() { return this.#params.toString(); }
    };`,
};

/** How the tag gets into the page. */
const TAGS = {
  "a loader": `
    <script src="stick.js" data-url="record" type="text/rocketscript"></script>
    <script>
      fetch("stick.js").then((response) => response.text()).then((text) => (0, eval)(text));
    </script>`,
  "inline": `
    <script src="stick.js" data-url="record" type="text/delayed"></script>
    <script>
      fetch("stick.js").then((response) => response.text()).then((text) => {
        document.head.append(Object.assign(document.createElement("script"), { text }));
      });
    </script>`,
};

/** Notes what was swapped in, by what libraries tell of it. */
const SETTLED = `<script>
  if (!window.counted) {
    window.counted = 0;
    for (const type of ["htmx:afterSettle", "htmx:after:swap", "turbo:load", "turbo:frame-load"])
      addEventListener(type, () => fetch("note/settled" + ++window.counted, { keepalive: true }));
  }
</script>`;

/** Notes that something large was painted, where the browser tells. */
const PAINTED = `<script>
  const type = "largest-contentful-paint";
  if (PerformanceObserver.supportedEntryTypes.includes(type))
    new PerformanceObserver(() => {
      // Who leaves amid a request gets an error of it, and errors are reported.
      setTimeout(() => fetch("note/painted", { keepalive: true }).catch(() => {}));
    }).observe({ type, buffered: true });
</script>`;

/** Pages, by path and flags in the query. */
const PAGES = {
  /** The page whose load is reported. `slow`: its picture is held back. */
  page: (flags) => `
    <script>${MEDDLERS[flags.get("meddler")] ?? ""}</script>
    ${TAGS[flags.get("tag")] ?? '<script src="stick.js" data-url="record" defer></script>'}
    <script>
      const note = (name) => fetch("note/" + name, { keepalive: true });
      addEventListener("DOMContentLoaded", () => setTimeout(note, 0, "interactive"));
      addEventListener("pageshow", ({ persisted }) => persisted && note("restored"));
      if (document.prerendering)
        addEventListener("load", () => setTimeout(note, 0, "prerendered"));
    </script>
    <p>Reported.</p>
    <img src="${flags.has("slow") ? "held" : "picture"}">`,

  /** Parts of it are swapped by htmx. */
  htmx: (flags) => `
    <script src="${flags.get("version") ?? "htmx"}.js"></script>${ALL}
    <button id="get" hx-get="part?a=b" hx-target="#part">Get</button>
    <form id="post" hx-post="part" hx-target="#part"><input name="a" value="b"></form>
    <button id="self" hx-get="part?self" hx-swap="outerHTML">Replace me</button>
    <div id="part"></div>
    ${SETTLED}${PAINTED}`,

  /** Turbo follows its links, sends its forms and fills its frames. */
  turbo: () => `
    <script src="turbo.js"></script>${ALL}
    <a id="next" href="next">Next</a>
    <form id="form" method="post" action="redirect?to=next"></form>
    <turbo-frame id="frame"><a id="inner" href="framed">Into the frame</a></turbo-frame>
    ${SETTLED}`,
  next: () => `
    <script src="turbo.js"></script>${ALL}
    <p id="there">Next.</p><a id="back" href="turbo">Back</a>
    ${SETTLED}`,
  framed: () => `<turbo-frame id="frame"><p id="in">In the frame.</p></turbo-frame>`,

  /** Goes on without a library, as browsers may see it. */
  soft: () => `
    ${ALL}
    <button id="go" style="font-size: 40px">Go</button><main></main>
    <script>
      go.onclick = async () => {
        const text = await (await fetch("part")).text();
        history.pushState({}, "", "soft-two");
        document.querySelector("main").innerHTML = text.repeat(20);
        note("gone");
      };
      const note = (name) => fetch("note/" + name, { keepalive: true });
      new PerformanceObserver(() => setTimeout(note, 0, "soft")).observe({ type: "soft-navigation" });
    </script>`,

  part: () => `<p style="font-size: 40px">A part of a page, and a new one.</p>`,

  /** Things go wrong here. */
  wrong: () => `
    ${ALL}
    <script>
      addEventListener("load", () => setTimeout(() => {
        setTimeout(() => { null.name; });
        setTimeout(() => { throw new RangeError("secret"); });
        setTimeout(() => { throw "secret"; });
        Promise.reject(new TypeError("secret"));
        const onerror = () => setTimeout(() => {
          for (let i = 0; i < 20; i++) setTimeout(() => { throw new URIError("secret"); });
          setTimeout(() => fetch("note/gone-wrong"), 20);
        }, 20);
        document.body.append(Object.assign(new Image(), { onerror, src: "missing" }));
      }));
    </script>
    <p>Wrong.</p>`,

  /** A page without stick. */
  other: () => `
    <script>addEventListener("load", () => fetch("note/other" + encodeURIComponent(location.search)));</script>
    <p>Another page.</p>`,

  form: () => `<form method="post" action="page"><input name="a" value="b"></form>
    <script>document.forms[0].submit();</script>`,

  /** Prerenders the page and goes there when it has loaded behind the scenes. */
  prerenderer: () => `
    <script type="speculationrules">
      {"prerender": [{"urls": ["page"], "eagerness": "immediate"}]}
    </script>
    <script>fetch("wait").then(() => { location.href = "page"; });</script>`,
};

/** What is swapped into pages names itself. */
const PARTS = { part: ".part", next: ".next", framed: ".framed" };

export class Sink {
  #server = createServer((request, response) => this.#answer(request, response));
  #visits = new Map();

  async start() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** A visit under a path of its own, so that nothing of another one gets into it. */
  visit(name) {
    const visit = new Visit(name, this.#server.address().port);
    this.#visits.set(name, visit);
    return visit;
  }

  async #answer(request, response) {
    const url = new URL(request.url, "http://sink");
    const [, name, what, detail] = url.pathname.split("/");
    const visit = this.#visits.get(name);
    let body = "";
    for await (const chunk of request) body += chunk;

    const answer = (status, headers = {}, text = "") =>
      response.writeHead(status, { "Cache-Control": "no-cache", ...headers }).end(text);

    if (!visit) answer(404);
    else if (what in PAGES) {
      // Nothing may happen in the first millisecond, for 0 means never.
      await new Promise((resolve) => setTimeout(resolve, 5));
      answer(
        200,
        {
          "Content-Type": "text/html; charset=utf-8",
          "Server-Timing": `total;dur=1.5, view;desc="engines.${name}${PARTS[what] ?? ""}"`,
        },
        `<!doctype html><title>${name}</title>${PAGES[what](url.searchParams)}`,
      );
    } else if (what in SCRIPTS)
      answer(
        200,
        { "Content-Type": "text/javascript" },
        readFileSync(new URL(SCRIPTS[what], import.meta.url)),
      );
    else if (what === "redirect") answer(request.method === "POST" ? 303 : 302, { Location: url.searchParams.get("to") });
    else if (what === "record") {
      visit.received.push({ method: request.method, headers: request.headers, body });
      answer(204);
    } else if (what === "missing") answer(404);
    else if (what === "note") {
      visit.notes.add(decodeURIComponent(detail));
      answer(204);
    } else if (what === "wait") {
      await visit.noted("prerendered");
      await visit.released;
      answer(204);
    } else {
      if (what === "held") await visit.released;
      answer(200, { "Content-Type": "image/svg+xml" }, PICTURE);
    }
  }
}

class Visit {
  /** What was reported: `method`, `headers` and `body` of each request. */
  received = [];
  /** What the pages said of themselves. */
  notes = new Set();

  constructor(name, port) {
    this.name = name;
    this.port = port;
    this.released = new Promise((resolve) => (this.release = resolve));
  }

  /** `host` 127.0.0.1 and localhost are the same server and two origins. */
  url(path, host = "127.0.0.1") {
    return `http://${host}:${this.port}/${this.name}/${path}`;
  }

  async reports(count) {
    await eventually(`${count} reports`, () => this.received.length >= count);
  }

  async noted(name) {
    await eventually(`the page to note ${name}`, () => this.notes.has(name));
  }
}
