// Plots of the last minutes, one sample a second. Each has its newest figures as text beside it, which is what a
// screen reader gets.

import uPlot from "uplot";
import { find, make } from "./dom.ts";
import { bytes } from "./format.ts";

const SAMPLES = 300;
const HEIGHT = 170;
/** Between two marks of time. */
const SECONDS = [1, 5, 10, 15, 30, 60, 120, 300];

/** Between two marks of a figure. */
const DECIMAL = Array.from({ length: 39 }, (_, i) => [1, 2, 5][i % 3]! * 10 ** Math.floor(i / 3));
const BINARY = Array.from({ length: 45 }, (_, i) => 2 ** i);

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
    // Read at each drawing: light may have become dark.
    const ink = (name: string) => () => style.getPropertyValue(name);
    const grid = { stroke: ink("--line"), width: 1 };
    const axis = { stroke: ink("--quiet"), grid, ticks: grid };
    const marks = format === bytes ? BINARY : DECIMAL;
    this.plot = new uPlot(
      {
        width: Math.max(200, figure.clientWidth - 20),
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
        axes: [
          { ...axis, space: 80, size: 32, incrs: SECONDS, values: (_, splits) => splits.map(clock) },
          { ...axis, size: 80, incrs: marks, values: (_, splits) => splits.map((value) => format(value)) },
        ],
        series: [
          {},
          ...lines.map(({ label, color }, i) => ({
            label,
            stroke: ink(color),
            width: 2,
            dash: i === 0 ? [] : [6, 4],
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
    const now = this.lines.flatMap(({ label, color }, i) => {
      const figure = make("span", {}, `${label} ${this.format(values[i] ?? 0)}`);
      figure.style.color = `var(${color})`;
      return [i === 0 ? ": " : ", ", figure];
    });
    this.caption.replaceChildren(this.title, ...now);
  }
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString(undefined, { hour12: false });
}

export function plotsPlace(): HTMLElement {
  return find("#plots");
}
