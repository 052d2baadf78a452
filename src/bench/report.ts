// What a run of a benchmark found, and the one form in which it is written: every result, the machine, every sample.
import { z } from 'zod';

/** Of whole paths, of translation, of Services, and of the CNI plugin. */
export const BENCHMARKS = ['paths', 'nat', 'service', 'cni'] as const;
export type Benchmark = (typeof BENCHMARKS)[number];

/** A change that readers of older files could not read makes this another one. */
export const REPORT_VERSION = 'isthmus.dev/v1';

const UNITS = ['ratio', 'Gb/s', 'ms', 'us', 'ns', 'MB', 'bytes', '%', 'count'] as const;
export type Unit = (typeof UNITS)[number];

const rounds = z.int().min(1);
const spread = z
  .strictObject({ median: z.number(), low: z.number(), high: z.number(), count: rounds })
  .refine(({ median, low, high }) => low <= median && median <= high, 'the median is not between the quartiles')
  .readonly();
const size = z.strictObject({ of: z.string(), count: z.int().min(1) }).readonly();

const resultSchema = z
  .strictObject({
    section: z.string().min(1),
    name: z.string().min(1),
    /** Test, table or packet that it is about; with section and name it says which result this is. */
    what: z.string(),
    unit: z.enum(UNITS),
    /** What was measured, and what it is compared with. */
    path: z.string().exactOptional(),
    peer: z.string().exactOptional(),
    /** What the name says about the size of a table, for results that only differ in it. */
    size: size.exactOptional(),
    /** For what has no goal and is not clear by its unit: ratios are better when more, all else when less. */
    better: z.enum(['more', 'less']).exactOptional(),
    /** Of the rounds. Absent when nothing could be measured; `note` says why, and otherwise what to know of the figure. */
    spread: spread.exactOptional(),
    /** `at-least` and `at-most` a value; `one` is 1.00 within the spread. */
    goal: z
      .strictObject({ kind: z.enum(['at-least', 'at-most', 'one']), value: z.number() })
      .readonly()
      .exactOptional(),
    met: z.boolean().exactOptional(),
    note: z.string().exactOptional(),
  })
  .readonly();

/** What was measured, of whatever section. */
export type AnyResult = z.output<typeof resultSchema>;
/** What was measured, of sections that are known by name. */
export type Result<S extends string = string> = Readonly<Omit<AnyResult, 'section'>> & { readonly section: S };

const timeSchema = z
  .strictObject({
    path: z.string(),
    title: z.string().exactOptional(),
    test: z.enum(['rr', 'crr', 'udp_rr', 'udp_first']),
    size: size.exactOptional(),
    /** Microseconds: the spread of a run's figure over the rounds. A mean shows stalls that a p50 hides. */
    mean: spread,
    p50: spread,
    p90: spread,
    p99: spread,
    p999: spread,
    /** How many there were; the figures above are of those in which something came through. */
    runs: z.int().min(1),
    /** Of all runs together: what failed, and what the client's kernel sent again. */
    errors: z.int().min(0),
    retransmits: z.int().min(0),
    synRetransmits: z.int().min(0),
    /** What the server's kernel sent again, and segments with RST that either end sent; of older files not known. */
    serverRetransmits: z.int().min(0).exactOptional(),
    resets: z.int().min(0).exactOptional(),
    /** Runs in which a transaction failed or a SYN was sent again. */
    troubled: z.int().min(0),
  })
  .readonly();

/** How long a transaction took on one path. */
export type PathTime = z.output<typeof timeSchema>;

const machineSchema = z
  .strictObject({
    kernel: z.string(),
    processor: z.string(),
    cpus: z.int().min(1),
    /** The one that everything measured runs on. */
    cpu: z.int().min(0),
    memoryBytes: z.number().min(0),
    /** Processes that wanted to run when it began, the mean of a minute. */
    load: z.number().min(0),
  })
  .readonly();
export type Machine = z.output<typeof machineSchema>;

/** A peer or a section that could not be measured. */
const missingSchema = z.strictObject({ name: z.string(), reason: z.string() }).readonly();
export type Missing = z.output<typeof missingSchema>;

/** A report as a file has it. */
export const reportSchema = z
  .strictObject({
    apiVersion: z.literal(REPORT_VERSION),
    kind: z.literal('BenchReport'),
    benchmark: z.enum(BENCHMARKS),
    /** RFC 3339. */
    started: z.iso.datetime(),
    seconds: z.number().min(0),
    machine: machineSchema,
    settings: z
      .strictObject({
        quick: z.boolean(),
        rounds,
        /** Of one run of requests or connections. */
        runSeconds: z.number().exactOptional(),
        sections: z.array(z.string()).readonly(),
      })
      .readonly(),
    /** Of the peers' tools and of ours, by name. */
    versions: z.record(z.string(), z.string()).readonly(),
    missing: z.array(missingSchema).readonly(),
    notes: z.array(z.string()).readonly(),
    results: z.array(resultSchema).readonly(),
    times: z.array(timeSchema).readonly(),
    /** Every single measurement, by section; their shapes are the sections' own. */
    samples: z.unknown(),
  })
  .readonly();

/** What a benchmark prints and writes. */
export type BenchReport = z.output<typeof reportSchema>;
