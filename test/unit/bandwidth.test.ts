// Limits in bits, as runtimes give them, to token buckets in bytes.
import { expect, test } from 'vitest';
import { tokenBucket } from '../../src/agent/bandwidth.js';

test('C11: bits become bytes, and a byte waits 50 ms at most', () => {
  expect(tokenBucket({ rate: 1_000_000_000, burst: 8_000_000 }, 1500)).toEqual({
    rate: 125_000_000,
    burst: 1_000_000,
    limit: 6_250_000,
  });
});

test('C11: a burst below one frame, or a queue below a packet of BIG TCP, would let nothing pass', () => {
  expect(tokenBucket({ rate: 8000, burst: 8 }, 1500)).toEqual({ rate: 1000, burst: 1518, limit: 262_144 });
  expect(tokenBucket({ rate: 1, burst: 1 }, 9000)).toMatchObject({ rate: 1, burst: 9018 });
});

test('C11: numbers beyond 32 bits stay what they are', () => {
  const bucket = tokenBucket({ rate: 400e9, burst: 2 ** 40 }, 1500);
  expect(bucket).toEqual({ rate: 50e9, burst: 2 ** 37, limit: 2.5e9 });
});
