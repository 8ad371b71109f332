// SPDX-License-Identifier: MPL-2.0

// The script-tag build with web-vitals inside: everything stick.js does, and `sendVitals`.

import "./script.js";
import { sendVitals } from "./vitals.js";

declare global {
  interface Stick {
    sendVitals?: typeof sendVitals;
  }
}

const stick = window.stick!;
stick.sendVitals ??= sendVitals;

const url = document.currentScript?.dataset.url;
if (url) stick.sendVitals(url);
