// SPDX-License-Identifier: MPL-2.0

// Serves pages with one script on them, and keeps what that script sends.

import { once } from "node:events";
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";
import { MEDDLERS } from "../engines/sink.js";
import { eventually } from "../engines/program.js";

const PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>';

const PAGES = {
  page: ({ script, flags }) => `
    <script nonce="sink">
      const note = ((fetch) => (name) => fetch("note/" + name, { keepalive: true }))(fetch);
    </script>
    <script>${MEDDLERS[flags.get("meddler")] ?? ""}</script>
    ${flags.has("loader") ? LOADER(script) : script.tag}
    <script nonce="sink">
      addEventListener("DOMContentLoaded", () => setTimeout(note, 0, "interactive"));
      addEventListener("load", () => setTimeout(note, 0, "loaded"));
      addEventListener("pageshow", ({ persisted }) => persisted && note("restored"));
    </script>
    <p>Reported.</p>
    <img src="${flags.has("slow") ? "held" : "picture"}">`,
  other: () => '<p>Another page.</p><script>fetch("note/other")</script>',
  prerenderer: () => `
    <script type="speculationrules">
      {"prerender": [{"urls": ["page"], "eagerness": "immediate"}]}
    </script>
    <script>fetch("wait").then(() => { location.href = "page"; });</script>`,
};

/** Content-Security-Policies; each lets the page's notes through. */
const POLICIES = {
  strict: () =>
    "default-src 'self'; script-src 'self' 'nonce-sink'; require-trusted-types-for 'script'",
  "without the address": (here) => `connect-src ${here}note/`,
};

/** As Cloudflare's Rocket Loader does: the tag's text is fetched and run by another script. */
const LOADER = (script) => `
  ${script.loaded ?? script.tag.replace("<script", '<script type="text/later"')}
  <script>
    const { src } = document.querySelector("script[src]");
    fetch(src).then((response) => response.text()).then((text) => (0, eval)(text));
  </script>`;

export class Sink {
  #server = createServer((request, response) => this.#answer(request, response));
  #visits = new Map();

  constructor(script) {
    this.script = script;
    this.text = script.text();
  }

  async start() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  visit(name) {
    const visit = {
      requests: [],
      notes: new Set(),
      /** Whether nothing gets through. */
      away: false,
      /** How its first reports are answered; the others are taken. */
      refusals: [],
      url: (path) => `http://127.0.0.1:${this.#server.address().port}/${name}/${path}`,
      noted: (what) => eventually(`${name} to note ${what}`, () => visit.notes.has(what)),
      loads: () => visit.requests.flatMap(this.script.loads),
    };
    visit.released = new Promise((resolve) => (visit.release = resolve));
    this.#visits.set(name, visit);
    return visit;
  }

  async #answer(request, response) {
    const url = new URL(request.url, "http://sink");
    const [, name, what, detail] = url.pathname.split("/");
    const visit = this.#visits.get(name);
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // the browser gave up
    }
    const answer = (status, headers = {}, text = "") =>
      response.writeHead(status, { "Cache-Control": "no-cache", ...headers }).end(text);

    if (!visit) answer(404);
    else if (visit.away) request.socket.destroy();
    else if (what in PAGES) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const page = PAGES[what]({ script: this.script, flags: url.searchParams });
      answer(
        200,
        {
          "Content-Type": "text/html; charset=utf-8",
          ...(url.searchParams.has("policy") && {
            "Content-Security-Policy": POLICIES[url.searchParams.get("policy")](visit.url("")),
          }),
        },
        `<!doctype html><title>${name}</title>${page}`,
      );
    } else if (what === "rum.js" || what === "stick.js")
      answer(200, { "Content-Type": "text/javascript" }, this.text);
    else if (what === "redirect") answer(302, { Location: "page" });
    else if (what === "record" && visit.refusals.length > 0)
      answer(visit.refusals.shift(), { Location: "moved" });
    else if (what === "record" || what === "moved") {
      const zipped = request.headers["content-encoding"] === "gzip";
      const body = Buffer.concat(chunks);
      visit.requests.push({
        body: (zipped ? gunzipSync(body) : body).toString(),
        query: url.search,
      });
      answer(204);
    } else if (what === "note") {
      visit.notes.add(detail);
      answer(204);
    } else if (what === "wait") {
      await visit.noted("loaded");
      await visit.released;
      answer(204);
    } else {
      if (what === "held") await visit.released;
      if (visit.away) request.socket.destroy();
      else answer(200, { "Content-Type": "image/svg+xml" }, PICTURE);
    }
  }
}
