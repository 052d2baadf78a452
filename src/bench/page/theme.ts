// The colours of pages and charts: drawn with marks that stand for variables, so that one drawing is light and dark.

/** By name: light, dark. Series keep their place; what is a limit or a reference is grey. */
const COLOURS = {
  surface: ['#fcfcfb', '#1a1a19'],
  panel: ['#f3f2ee', '#232321'],
  ink: ['#0b0b0b', '#ffffff'],
  soft: ['#52514e', '#c3c2b7'],
  faint: ['#898781', '#898781'],
  grid: ['#e1e0d9', '#2c2c2a'],
  axis: ['#c3c2b7', '#4a4a46'],
  plain: ['#a9b4c2', '#5b6673'],
  met: ['#2a78d6', '#3987e5'],
  missed: ['#d95926', '#e8703c'],
  blue: ['#2a78d6', '#3987e5'],
  aqua: ['#1baf7a', '#199e70'],
  yellow: ['#d99000', '#c98500'],
  violet: ['#4a3aa7', '#9085e9'],
  orange: ['#eb6834', '#d95926'],
  magenta: ['#d4578d', '#d55181'],
} as const;

export type Colour = keyof typeof COLOURS;

const NAMES = Object.keys(COLOURS) as Colour[];

/** What a chart is drawn with in place of the colour. Nothing else in a drawing looks like it. */
export function mark(colour: Colour): string {
  return `#a1b2${(NAMES.indexOf(colour) + 16).toString(16)}`;
}

/** Puts variables where the marks are. */
export function applyTheme(svg: string): string {
  return NAMES.reduce((text, name) => text.replaceAll(mark(name), `var(--${name})`), svg);
}

/** The variables, for a page or a drawing of its own. */
export function themeStyle(): string {
  const set = (shade: 0 | 1): string => NAMES.map((name) => `--${name}:${COLOURS[name][shade]}`).join(';');
  return `:root{color-scheme:light dark;${set(0)}}@media(prefers-color-scheme:dark){:root{${set(1)}}}`;
}

/** Ours are blue and green, netfilter is warm, the kernel yellow, programs that do nothing else violet. */
const PATHS: Readonly<Record<string, Colour>> = {
  ...{ raw: 'faint', 'host-host': 'faint', direct: 'faint', 'direct-hooked': 'violet' },
  ...{ 'bare-same': 'violet', 'bare-cross': 'violet' },
  ...{ 'same-node': 'blue', 'cross-node': 'blue', island: 'blue', packet: 'blue', ours: 'blue' },
  ...{ flat: 'aqua', socket: 'aqua', 'ours, XDP': 'aqua' },
  ...{ routed: 'yellow', 'iptables-nft': 'yellow' },
  ...{ masquerade: 'orange', 'iptables-legacy': 'orange' },
  ...{ nftables: 'magenta', 'bridge-same': 'magenta', 'bridge-cross': 'magenta', 'bridge-out': 'magenta' },
};

const OTHERS: readonly Colour[] = ['blue', 'orange', 'aqua', 'yellow', 'magenta', 'violet'];

/** The same for a path wherever it is drawn; those without a colour of their own get them in their order. */
export function colourScale(paths: readonly string[]): { readonly domain: string[]; readonly range: string[] } {
  const unknown = paths.filter((path) => PATHS[path] === undefined);
  const colourOf = (path: string): Colour => PATHS[path] ?? OTHERS[unknown.indexOf(path) % OTHERS.length] ?? 'plain';
  return { domain: [...paths], range: paths.map((path) => mark(colourOf(path))) };
}

/** For every chart: no frame, thin lines, the ink of the page. */
export const CHART_CONFIG = {
  background: null,
  font: 'system-ui, -apple-system, "Segoe UI", sans-serif',
  view: { stroke: null },
  axis: {
    domainColor: mark('axis'),
    gridColor: mark('grid'),
    tickColor: mark('axis'),
    labelColor: mark('soft'),
    titleColor: mark('soft'),
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 400,
    titlePadding: 8,
  },
  legend: { labelColor: mark('ink'), titleColor: mark('soft'), labelFontSize: 12, symbolStrokeWidth: 2.5 },
  header: { labelColor: mark('ink'), labelFontSize: 13, labelFontWeight: 600, titleColor: mark('soft') },
} as const;
