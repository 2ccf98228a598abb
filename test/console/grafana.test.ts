// config/grafana-dashboard.json asks for metrics that there are, with labels that they have.

import { expect, test } from "bun:test";
import { HISTOGRAM_ROWS, ROWS } from "../../src/console/metricsRows.ts";
import dashboard from "../../config/grafana-dashboard.json";

/** Of the scrape, not of the program. */
const SCRAPE_LABELS = ["instance", "job"];

const labelsByName = new Map<string, readonly string[]>([
  ...ROWS.map(({ name, labels }) => [name, labels] as const),
  ...HISTOGRAM_ROWS.map(({ name }) => [`${name}_bucket`, ["le"]] as const),
]);

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
}

const targets = dashboard.panels.flatMap((panel) => (panel as { targets?: Target[] }).targets ?? []);

test("every metric of the dashboard is one", () => {
  const names = targets.flatMap(({ expr }) => expr.match(/\b(?:millrace|process|metrics)_\w+/g) ?? []);
  expect(names.length).toBeGreaterThanOrEqual(targets.length);
  expect(names.filter((name) => !labelsByName.has(name))).toEqual([]);
});

test("every label is one of its metric", () => {
  const wrong: string[] = [];
  for (const { expr, legendFormat } of targets) {
    const [name = ""] = expr.match(/\b(?:millrace|process)_\w+/) ?? [];
    const known = [...(labelsByName.get(name) ?? []), ...SCRAPE_LABELS];
    const matchers = [...expr.matchAll(/[{,]\s*(\w+)(?:=~|!=|=)/g)].map(([, label]) => label!);
    const grouped = [...expr.matchAll(/by \((\w+)\)/g)].map(([, label]) => label!);
    const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!);
    for (const label of [...matchers, ...grouped, ...shown]) {
      if (!known.includes(label)) wrong.push(`${expr}: ${label}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("panels lie side by side", () => {
  const taken = new Set<string>();
  for (const { gridPos, title } of dashboard.panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        if (x >= 24 || taken.has(`${x} ${y}`)) throw new Error(`${title} lies on another panel`);
        taken.add(`${x} ${y}`);
      }
    }
  }
});
