// A drawing as a file of its own: with its colours, for light and dark, and a ground to be seen on.
import { escapeHtml } from './escape.js';
import { themeStyle } from './theme.js';

/** Its first element must be svg. */
export function standalone(svg: string, title: string): string {
  const ground = '<rect width="100%" height="100%" fill="var(--surface)"/>';
  const head = `<title>${escapeHtml(title)}</title><style>${themeStyle()}</style>${ground}`;
  return `${svg.replace(/^(<svg [^>]*>)/, `$1${head}`)}\n`;
}
