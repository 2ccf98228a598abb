// A histogram as lines of text: a bar for each bin, as long as its share.

import type { Histogram } from "./histogram.ts";

const BAR_WIDTH = 40;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const BOUND_WIDTH = 7;

/** At most `bins` lines; none when nothing was counted. */
export function drawHistogram(times: Histogram, bins: number): string[] {
  const drawn = times.bins(bins);
  const largest = drawn.reduce((max, { count }) => Math.max(max, count), 0);
  return drawn.map(({ fromMs, toMs, count }) => {
    const bounds = `${bound(fromMs)} –${bound(toMs)} ms`;
    const share = ((100 * count) / times.count).toFixed(count === times.count ? 0 : 2).padStart(6);
    return `${bounds} ${share} % ${bar(count / largest)}`;
  });
}

function bound(ms: number): string {
  return (ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)).padStart(BOUND_WIDTH);
}

/** Something that was counted is always seen. */
function bar(share: number): string {
  const eighths = share === 0 ? 0 : Math.max(1, Math.round(share * BAR_WIDTH * EIGHTHS.length));
  return "█".repeat(Math.floor(eighths / EIGHTHS.length)) + EIGHTHS[eighths % EIGHTHS.length];
}
