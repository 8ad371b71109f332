// SPDX-License-Identifier: MPL-2.0
// Numbers as people read them.

const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const short = new Intl.NumberFormat("en", {maximumSignificantDigits: 3});
const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export const nothing = "–";

export function number(value) {
  if (value == null) return nothing;
  return Math.abs(value) >= 1000 ? whole.format(value) : short.format(value);
}

export function duration(ms) {
  if (ms == null) return nothing;
  if (Math.abs(ms) < 1000) return `${short.format(ms)} ms`;
  if (Math.abs(ms) < 120_000) return `${short.format(ms / 1000)} s`;
  return `${short.format(ms / 60_000)} min`;
}

export function percent(share) {
  return share == null ? nothing : `${short.format(share * 100)} %`;
}

/** Seconds since the epoch → 12:34:56, as is usual here. */
export function time(seconds) {
  return clock.format(seconds * 1000);
}

/** 1 request, 2 requests */
export function many(count, what) {
  return `${number(count)} ${what}${count === 1 ? "" : "s"}`;
}
