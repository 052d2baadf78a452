// Draws charts as SVG, without a browser. What draws them is installed with what builds the project, and not in the image.
import { applyTheme, CHART_CONFIG } from './theme.js';

/** A chart as text, and its size in pixels. */
export interface Drawing {
  readonly svg: string;
  readonly width: number;
}

export type Draw = (spec: object) => Promise<Drawing>;

/** Widths of a wide font's characters as shares of its size: there is no browser to measure them. */
const NARROW = /[\s.,:;'|!()[\]ijltfrI/-]/;
const WIDE = /[mwMW@%]/;
const WIDTHS = { narrow: 0.38, wide: 0.95, other: 0.63 } as const;

/** undefined when the libraries are not installed. */
export async function openDrawing(): Promise<Draw | undefined> {
  try {
    const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
    // Its own guess is much too wide.
    (vega as unknown as TextMetrics).textMetrics.width = widthOf;
    return async (spec) => {
      const compiled = compile({ ...spec, config: CHART_CONFIG } as unknown as Parameters<typeof compile>[0]);
      const view = new vega.View(vega.parse(compiled.spec), { renderer: 'none', logLevel: vega.Error });
      const svg = await view.toSVG();
      view.finalize();
      return { svg: applyTheme(svg), width: Number(/ width="([\d.]+)"/.exec(svg)?.[1] ?? 0) };
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

interface TextMetrics {
  readonly textMetrics: { width: (item: { readonly fontSize?: number }, text?: unknown) => number };
}

function widthOf({ fontSize = 11 }: { readonly fontSize?: number }, text: unknown = ''): number {
  const widths = [...String(text)].map((character) =>
    NARROW.test(character) ? WIDTHS.narrow : WIDE.test(character) ? WIDTHS.wide : WIDTHS.other,
  );
  return widths.reduce((sum, width) => sum + width, 0) * fontSize;
}
