// SPDX-License-Identifier: MPL-2.0

// Chromium over its debugging protocol, through a pipe. Not Playwright, which makes every
// tab claim to be visible; and a page that is being debugged is not prerendered.

import { Program, find } from "./program.js";

export default class Chromium {
  static title = "Chromium";
  static path =
    process.env.METLOG_CHROMIUM ||
    find("chromium", "chromium-browser", "google-chrome", "google-chrome-stable");
  static serverTiming = true;
  /** Has fetchLater, so that a load may go on out of sight. */
  static defers = true;
  static lacks = {};
  static losesNetwork = true;

  static async start() {
    const browser = new Chromium();
    browser.tabs = new Set();
    browser.sessions = new Map();
    const root = process.getuid() === 0;
    browser.program = new Program(
      Chromium.path,
      (home) => [
        "--headless=new",
        "--remote-debugging-pipe",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        ...(root ? ["--no-sandbox"] : []),
        `--user-data-dir=${home}`,
        "about:blank",
      ],
      { stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"] },
    );
    const [, , , input, output] = browser.program.process.stdio;
    browser.input = input;
    browser.calls = new Map();
    let rest = "";
    output.setEncoding("utf8").on("data", (text) => {
      const messages = (rest + text).split("\0");
      rest = messages.pop();
      for (const message of messages) browser.#received(JSON.parse(message));
    });
    return browser;
  }

  #received({ id, result, error }) {
    const call = this.calls.get(id);
    if (error) call?.reject(new Error(error.message));
    else call?.resolve(result);
  }

  /** One command of the protocol. */
  call(method, params = {}, sessionId) {
    const id = this.calls.size + 1;
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject });
      this.input.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    });
  }

  /** Opens a tab and loads a page in it. */
  async open(url, { background = false } = {}) {
    const { targetId } = await this.call("Target.createTarget", { url, background });
    this.tabs.add(targetId);
    return targetId;
  }

  async #attach(tab) {
    const { sessionId } = await this.call("Target.attachToTarget", {
      targetId: tab,
      flatten: true,
    });
    return sessionId;
  }

  /** Runs JavaScript in the page and returns its JSON. */
  async run(tab, script) {
    const kept = this.sessions.get(tab);
    const sessionId = kept ?? (await this.#attach(tab));
    const { result } = await this.call(
      "Runtime.evaluate",
      { expression: script, returnByValue: true },
      sessionId,
    );
    if (!kept) await this.call("Target.detachFromTarget", { sessionId });
    return result.value;
  }

  /** Takes the network from a page, or gives it back. */
  async network(tab, there) {
    // Kept meanwhile: any session that ends makes the page believe it is online again.
    const sessionId = this.sessions.get(tab) ?? (await this.#attach(tab));
    this.sessions.set(tab, sessionId);
    await this.call("Network.enable", {}, sessionId);
    await this.call(
      "Network.emulateNetworkConditions",
      { offline: !there, latency: 0, downloadThroughput: -1, uploadThroughput: -1 },
      sessionId,
    );
    if (!there) return;
    this.sessions.delete(tab);
    await this.call("Target.detachFromTarget", { sessionId });
  }

  /** Clicks on an element as a visitor does. */
  async click(tab, id) {
    const { x, y, width, height } = JSON.parse(
      await this.run(tab, `JSON.stringify(document.getElementById("${id}").getBoundingClientRect())`),
    );
    const sessionId = await this.#attach(tab);
    const at = { x: x + width / 2, y: y + height / 2, button: "left", clickCount: 1 };
    for (const type of ["mousePressed", "mouseReleased"])
      await this.call("Input.dispatchMouseEvent", { type, ...at }, sessionId);
    await this.call("Target.detachFromTarget", { sessionId });
  }

  /** Puts another tab before it. */
  async hide() {
    await this.open("about:blank");
  }

  /** Puts a tab before the others. */
  async show(tab) {
    await this.call("Target.activateTarget", { targetId: tab });
  }

  async close(tab) {
    this.tabs.delete(tab);
    this.sessions.delete(tab);
    await this.call("Target.closeTarget", { targetId: tab });
  }

  /** Closes every tab, for what a page might still say then. */
  async leave() {
    for (const tab of [...this.tabs]) await this.close(tab);
  }

  async stop() {
    await this.program.stop();
  }
}
