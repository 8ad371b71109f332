// SPDX-License-Identifier: MPL-2.0

import { spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createServer } from "node:net";

/** Returns the path of the first of these programs that is installed, or undefined. */
export function find(...names) {
  const folders = process.env.PATH.split(delimiter);
  const paths = names.flatMap((name) =>
    name.startsWith("/") ? [name] : folders.map((folder) => join(folder, name)),
  );
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A program that runs until `stop`, with a home of its own. */
export class Program {
  constructor(path, args, { env = {}, stdio = ["ignore", "pipe", "pipe"] } = {}) {
    this.output = "";
    this.home = mkdtempSync(join(tmpdir(), "engines-"));
    this.process = spawn(path, args(this.home), {
      // A group of its own, so that what it starts ends with it.
      detached: true,
      env: { ...process.env, HOME: this.home, ...env },
      stdio,
    });
    this.ended = new Promise((resolve) => this.process.once("exit", resolve));
    for (const stream of [this.process.stdout, this.process.stderr])
      stream?.setEncoding("utf8").on("data", (text) => (this.output += text));
  }

  /** What the first match of `pattern` in the program's output captured. */
  async says(pattern) {
    return await eventually(`${this.process.spawnfile} to say ${pattern}`, () => {
      if (this.process.exitCode !== null) throw new Error(`it ended:\n${this.output}`);
      return this.output.match(pattern)?.[1];
    });
  }

  async stop() {
    try {
      process.kill(-this.process.pid, "SIGKILL");
    } catch {
      // It had ended.
    }
    await this.ended;
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** How long a thing may come late on a busy machine, in milliseconds. */
export const PATIENCE = 120_000;

/** Asks until the answer is something; throws what it waited for in vain. */
export async function eventually(what, ask) {
  for (const deadline = Date.now() + PATIENCE; Date.now() < deadline; ) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited for ${what}`);
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
