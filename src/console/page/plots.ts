// Plots of the last minutes, one sample a second. Each has its newest figures as text beside it, which is what a
// screen reader gets.

import uPlot from "uplot";
import { find, make } from "./dom.ts";

const SAMPLES = 300;
const HEIGHT = 170;

export interface Line {
  readonly label: string;
  /** A custom property of page.css. */
  readonly color: string;
}

export class Plot {
  private readonly plot: uPlot;
  private readonly times: number[] = [];
  private readonly values: (number | null)[][];
  private readonly caption: HTMLElement;
  private readonly title: string;
  private readonly lines: readonly Line[];
  private readonly format: (value: number) => string;

  constructor(parent: HTMLElement, title: string, lines: readonly Line[], format: (value: number) => string) {
    this.title = title;
    this.lines = lines;
    this.format = format;
    this.values = lines.map(() => []);
    this.caption = make("figcaption", {}, title);
    const space = make("div", { "aria-hidden": "true" });
    const figure = make("figure", {}, this.caption, space);
    parent.append(figure);
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--quiet");
    const grid = { stroke: style.getPropertyValue("--line"), width: 1 };
    const axis = { stroke: ink, grid, ticks: grid };
    this.plot = new uPlot(
      {
        width: Math.max(200, figure.clientWidth - 20),
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
        axes: [axis, { ...axis, size: 80, values: (_, splits) => splits.map((value) => format(value)) }],
        series: [
          {},
          ...lines.map(({ label, color }) => ({
            label,
            stroke: style.getPropertyValue(color),
            width: 2,
            points: { show: false },
          })),
        ],
      },
      [this.times, ...this.values] as uPlot.AlignedData,
      space,
    );
    new ResizeObserver(() => {
      this.plot.setSize({ width: Math.max(200, figure.clientWidth - 20), height: HEIGHT });
    }).observe(figure);
  }

  add(seconds: number, values: readonly number[]): void {
    this.times.push(seconds);
    for (const [i, line] of this.values.entries()) line.push(values[i] ?? null);
    if (this.times.length > SAMPLES) {
      this.times.shift();
      for (const line of this.values) line.shift();
    }
    this.plot.setData([this.times, ...this.values] as uPlot.AlignedData);
    const now = this.lines.map(({ label }, i) => `${label} ${this.format(values[i] ?? 0)}`);
    this.caption.textContent = `${this.title}: ${now.join(", ")}`;
  }
}

export function plotsPlace(): HTMLElement {
  return find("#plots");
}
