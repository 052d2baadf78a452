// Levels of tests, from the quickest to the most real; docs/testing.md says what belongs where.
import { defineConfig } from 'vitest/config';

/** Kernel work is slow on a busy machine; a test that hangs still ends. */
const TIMEOUT_MS = 60_000;

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 20_000, maxWorkers: '100%' } },
      {
        // Run by scripts/isolated.sh: nothing of it is in the machine's own network namespace.
        test: {
          name: 'packet',
          include: ['test/packet/**/*.test.ts'],
          maxWorkers: '100%',
          testTimeout: TIMEOUT_MS,
          hookTimeout: TIMEOUT_MS,
        },
      },
      {
        // One file at a time: they measure time, and there is one lab on a machine.
        test: {
          name: 'netns',
          include: ['test/netns/**/*.test.ts'],
          testTimeout: TIMEOUT_MS,
          hookTimeout: TIMEOUT_MS,
          fileParallelism: false,
        },
      },
      {
        // Real programs of Kubernetes, in KUBEBUILDER_ASSETS or PATH; skipped where there are none.
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          testTimeout: TIMEOUT_MS,
          hookTimeout: TIMEOUT_MS,
          fileParallelism: false,
        },
      },
    ],
  },
});
