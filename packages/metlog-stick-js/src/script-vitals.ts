// SPDX-License-Identifier: MPL-2.0

// The script-tag build with web-vitals included: all that stick.js does, and `sendVitals`.

import "./script.js";
import { tag } from "./tag.js";
import { sendVitals } from "./vitals.js";

declare global {
  interface Stick {
    sendVitals?: typeof sendVitals;
  }
}

const stick = window.stick!;
stick.sendVitals ??= sendVitals;

if (tag) stick.sendVitals(tag.dataset.url, tag.dataset);
