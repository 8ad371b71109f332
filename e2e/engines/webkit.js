// SPDX-License-Identifier: MPL-2.0

// WebKitGTK and WPE WebKit over their WebDrivers: https://w3c.github.io/webdriver

import { PATIENCE, Program, eventually, find, freePort } from "./program.js";

const XVFB = find("Xvfb");
const COG = find("cog");
const MINI_BROWSER = find(
  "MiniBrowser",
  "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
  "/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
);

const NO_SWITCH = "Nothing here takes the network from this engine.";

/** A browser behind a WebDriver. */
class WebKit {
  static silent = "WebKit tells a page nothing when its load is abandoned.";
  /** Level 2 says nothing of the response after a redirect from another origin. */
  static hidesRedirected = true;

  constructor() {
    this.programs = [];
    this.tabs = new Set();
  }

  async startDriver(env) {
    const { path } = this.constructor;
    const port = await freePort();
    this.programs.push(new Program(path, () => [`--port=${port}`], { env }));
    this.driver = `http://127.0.0.1:${port}`;
    const listens = () =>
      fetch(`${this.driver}/status`).then(
        ({ ok }) => ok,
        () => false,
      );
    await eventually(`${path} to listen`, listens);
  }

  async startSession() {
    const alwaysMatch = { pageLoadStrategy: "none", ...this.constructor.capabilities };
    this.session = "/session";
    const { sessionId } = await this.call("POST", "", { capabilities: { alwaysMatch } });
    this.session += `/${sessionId}`;
  }

  /** One command of the protocol. */
  async call(method, path, body) {
    const response = await fetch(this.driver + this.session + path, {
      method,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE),
    });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${path}: ${value.message || value.error}`);
    return value;
  }

  async run(tab, script) {
    await this.enter(tab);
    return await this.call("POST", "/execute/sync", { script: `return ${script}`, args: [] });
  }

  async leave() {
    for (const tab of [...this.tabs]) await this.close(tab);
  }

  async stop() {
    for (const program of this.programs.reverse()) await program.stop();
  }
}

export class WebKitGTK extends WebKit {
  static title = "WebKitGTK";
  static path = XVFB && MINI_BROWSER && find("WebKitWebDriver");
  static serverTiming = true;
  static lacks = {
    prerender: "This engine does not prerender.",
    "offline, then back": NO_SWITCH,
  };
  static capabilities = {
    "webkitgtk:browserOptions": {
      binary: MINI_BROWSER,
      args: ["--automation"],
    },
  };

  static async start() {
    const browser = new WebKitGTK();
    const screen = new Program(XVFB, () => ["-displayfd", "1", "-nolisten", "tcp"]);
    browser.programs.push(screen);
    await browser.startDriver({ DISPLAY: `:${await screen.says(/^(\d+)\n/)}` });
    await browser.startSession();
    return browser;
  }

  async open(url, { background = false } = {}) {
    // A new window is seen; a new tab stays behind the window's first.
    const type = background ? "tab" : "window";
    const { handle } = await this.call("POST", "/window/new", { type });
    this.tabs.add(handle);
    await this.enter(handle);
    await this.call("POST", "/url", { url });
    return handle;
  }

  async enter(tab) {
    await this.call("POST", "/window", { handle: tab });
  }

  async hide(tab) {
    await this.enter(tab);
    await this.call("POST", "/window/minimize", {});
  }

  async close(tab) {
    this.tabs.delete(tab);
    await this.enter(tab);
    await this.call("DELETE", "/window");
  }
}

/** Has one page and nothing to hide it behind. */
export class WPE extends WebKit {
  static title = "WPE WebKit";
  static path = COG && find("WPEWebDriver");
  /** Of the age of Safari 16.0; the interface came with 16.4. */
  static serverTiming = false;
  static lacks = {
    ...WebKitGTK.lacks,
    "hidden tab": "The browser around this engine shows one page, always.",
    "hidden during load": "The browser around this engine shows one page, always.",
  };
  static capabilities = {
    "wpe:browserOptions": {
      binary: COG,
      args: ["--automation", "--platform=headless"],
    },
  };

  static async start() {
    const browser = new WPE();
    await browser.startDriver();
    return browser;
  }

  async open(url) {
    if (!this.session) await this.startSession();
    this.tabs.add("page");
    await this.call("POST", "/url", { url });
    return "page";
  }

  async enter() {}

  async close() {
    this.tabs.delete("page");
    await this.call("DELETE", "/window");
    this.session = undefined;
  }
}
