// SPDX-License-Identifier: MPL-2.0

/** Return "mobile" if the primary pointing device is a finger, otherwise "desktop". */
export const deviceType = (): "mobile" | "desktop" =>
  matchMedia("(pointer: coarse)").matches ? "mobile" : "desktop";

/**
 * Return the class of the network, from "slow-2g" to "4g", as Chromium estimates it;
 * "unknown" elsewhere.
 */
export const connectionClass = (): "slow-2g" | "2g" | "3g" | "4g" | "unknown" =>
  (navigator as any).connection?.effectiveType ?? "unknown";
