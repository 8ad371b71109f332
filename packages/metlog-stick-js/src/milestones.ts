// SPDX-License-Identifier: MPL-2.0

/** A moment of a page's load: https://www.w3.org/TR/navigation-timing/#performancetiming */
export type Milestone =
  | "unloadEventStart"
  | "unloadEventEnd"
  | "redirectStart"
  | "redirectEnd"
  | "fetchStart"
  | "domainLookupStart"
  | "domainLookupEnd"
  | "connectStart"
  | "connectEnd"
  | "secureConnectionStart"
  | "requestStart"
  | "responseStart"
  | "responseEnd"
  | "domLoading"
  | "domInteractive"
  | "domContentLoadedEventStart"
  | "domContentLoadedEventEnd"
  | "domComplete"
  | "loadEventStart"
  | "loadEventEnd";

/**
 * Matches the twenty among the properties of the browser's timing interfaces, by the
 * shortest parts of their names that tell them apart from the rest.
 */
export const MILESTONE = /^dom|^([ursl]|fe|co).*(rt|End)$/;
