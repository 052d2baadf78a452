// The parts of the benchmark of the CNI plugin, and what is to be reached.

/** Parts that can be asked for alone: one request at a time, and many at once. */
export const CNI_SECTIONS = ['alone', 'together'] as const;
export type CniSection = (typeof CNI_SECTIONS)[number];

/** Pods that are added in one go. */
export const POD_COUNTS: Readonly<Record<CniSection, number>> = { alone: 1, together: 20 };

/** Most milliseconds of an ADD, from the start of the plugin to its end. */
export const CNI_GOALS = { p50: 15, p99: 50 } as const;
