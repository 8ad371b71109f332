// SPDX-License-Identifier: MPL-2.0

// Firefox over WebDriver BiDi, which it supports natively: https://w3c.github.io/webdriver-bidi

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import WebSocket from "ws";
import { Program, find } from "./program.js";

export default class Firefox {
  static title = "Firefox";
  static path = process.env.METLOG_FIREFOX || find("firefox-esr", "firefox");
  static serverTiming = true;
  static losesNetwork = true;
  static lacks = { prerender: "This engine does not prerender." };

  static async start() {
    const browser = new Firefox();
    browser.tabs = new Set();
    browser.program = new Program(Firefox.path, (home) => [
      "--headless",
      "--no-remote",
      "--remote-debugging-port=0",
      `--profile=${home}`,
    ]);
    const address = await browser.program.says(/BiDi listening on (ws:\S+)/);
    browser.socket = new WebSocket(`${address}/session`);
    browser.calls = new Map();
    browser.socket.on("message", (text) => browser.#received(JSON.parse(text)));
    await new Promise((resolve, reject) =>
      browser.socket.once("open", resolve).once("error", reject),
    );
    await browser.call("session.new", { capabilities: {} });
    return browser;
  }

  #received({ type, id, result, message }) {
    const call = this.calls.get(id);
    if (type === "error") call?.reject(new Error(message));
    else call?.resolve(result);
  }

  /** One command of the protocol. */
  call(method, params = {}) {
    const id = this.calls.size + 1;
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  async open(url, { background = false } = {}) {
    const { context } = await this.call("browsingContext.create", { type: "tab", background });
    this.tabs.add(context);
    await this.call("browsingContext.navigate", { context, url, wait: "none" });
    return context;
  }

  async run(tab, script) {
    const { result, exceptionDetails } = await this.call("script.evaluate", {
      expression: script,
      target: { context: tab },
      awaitPromise: false,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return result.value;
  }

  /** Takes the network from a page, or gives it back. */
  async network(tab, there) {
    const networkConditions = there ? null : { type: "offline" };
    await this.call("emulation.setNetworkConditions", { networkConditions, contexts: [tab] });
  }

  async hide() {
    await this.call("browsingContext.create", { type: "tab" });
  }

  async show(tab) {
    await this.call("browsingContext.activate", { context: tab });
  }

  async close(tab) {
    this.tabs.delete(tab);
    await this.call("browsingContext.close", { context: tab });
  }

  async leave() {
    for (const tab of [...this.tabs]) await this.close(tab);
  }

  async stop() {
    await this.program.stop();
  }
}
