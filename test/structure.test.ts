// The shape of the source: layers point down, files stay small, habits of the project hold. Checked as text, so
// that a rule costs nothing to write and nobody has to remember it.

import { describe, expect, test } from "bun:test";
import { Glob } from "bun";
import { dirname, join, normalize } from "node:path";

const ROOT = join(import.meta.dir, "..");
const FILE_LINES_MAX = 500;
/** The formatter keeps code to 110; comments, which it leaves alone, may be a word longer. */
const LINE_LENGTH_MAX = 120;

/** What each folder of src may import besides itself: everything to its left. Folders of one group stand apart. */
const LAYERS: readonly (readonly string[])[] = [
  ["base"],
  ["packet", "log", "topic"],
  ["session"],
  ["router"],
  ["net"],
  ["auth", "config", "persistence", "console", "bridge", "cluster"],
  ["access.ts", "listeners.ts"],
  ["broker.ts"],
  ["cli", "millrace.ts"],
  ["main.ts"],
];

/** Places that may name Bun, timers, clocks and randomness; the rest takes them as ports. */
const EDGES =
  /^src\/(?:net\/(?:listener|tls|webSocket)\w*\.ts|console\/(?:server|metrics)\w*\.ts|auth\/passwordHash\.ts|config\/.*|cli\/.*|broker\.ts|main\.ts)$/;

interface Source {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  /** Without comments and without what strings say. */
  readonly code: readonly string[];
}

async function sources(pattern: string): Promise<Source[]> {
  const found: Source[] = [];
  for await (const path of new Glob(pattern).scan(ROOT)) {
    const text = await Bun.file(join(ROOT, path)).text();
    found.push({ path, text, lines: text.split("\n"), code: bare(text).split("\n") });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Blanks comments and strings, lines kept. Rough, but enough to look for words of the language. */
function bare(text: string): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g;
  return text.replace(token, (match) => (match[0] === "/" ? match.replaceAll(/[^\n]/g, " ") : '""'));
}

function imports({ text }: Source): string[] {
  const pattern = /^(?:import|export)\b[^"';]*?(?:from\s*)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? "");
}

/** The folder of src that `path` is in, or its own name for the files that stand in src itself. */
function layerOf(path: string): string {
  return path.split("/")[1] ?? "";
}

/** `path:line` of each line of code that `pattern` matches. */
function places(files: readonly Source[], pattern: RegExp): string[] {
  return files.flatMap(({ path, code }) =>
    code.flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : [])),
  );
}

const src = await sources("src/**/*.ts");
const all = [...src, ...(await sources("{test,bench}/**/*.ts"))];

describe("layers", () => {
  test("every file has a layer", () => {
    const known = new Set(LAYERS.flat());
    expect(src.map(({ path }) => path).filter((path) => !known.has(layerOf(path)))).toEqual([]);
  });

  test("imports point down", () => {
    const wrong: string[] = [];
    for (const source of src) {
      const own = layerOf(source.path);
      const rank = LAYERS.findIndex((group) => group.includes(own));
      for (const target of imports(source)) {
        if (!target.startsWith(".")) continue;
        const path = normalize(join(dirname(source.path), target));
        if (!path.startsWith("src/")) continue;
        const theirs = layerOf(path);
        const isBelow = LAYERS.slice(0, rank).some((group) => group.includes(theirs));
        if (theirs !== own && !isBelow) wrong.push(`${source.path} imports ${path}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("nothing in src imports a test or a bench", () => {
    expect(
      src.filter((source) => imports(source).some((target) => /\.\.\/(?:test|bench)\//.test(target))),
    ).toEqual([]);
  });

  test("Bun is named at the edges alone", () => {
    const inner = src.filter(({ path }) => !EDGES.test(path));
    expect(places(inner, /(?<![\w$.])Bun\b/)).toEqual([]);
    const modules = inner.filter((source) => imports(source).some((target) => /^bun(?::|$)/.test(target)));
    expect(modules.map(({ path }) => path)).toEqual([]);
  });
});

describe("files", () => {
  test(`of src have at most ${FILE_LINES_MAX} lines`, () => {
    expect(src.filter(({ lines }) => lines.length - 1 > FILE_LINES_MAX).map(({ path }) => path)).toEqual([]);
  });

  test(`have lines of at most ${LINE_LENGTH_MAX} characters`, () => {
    const long = src.flatMap(({ path, lines }) =>
      lines.flatMap((line, index) => (line.length > LINE_LENGTH_MAX ? [`${path}:${index + 1}`] : [])),
    );
    expect(long).toEqual([]);
  });

  test("of src say at their head what they are", () => {
    expect(src.filter(({ text }) => !/^(?:\/\/|\/\*\*) \S/.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test("end in a line end", () => {
    expect(all.filter(({ text }) => !text.endsWith("\n")).map(({ path }) => path)).toEqual([]);
  });
});

describe("habits", () => {
  test("no any", () => {
    expect(places(all, /:\s*any\s*[;,)=\]>{|&]|\bas any\b|<any[,>]|\bany\[\]/)).toEqual([]);
  });

  test("no default exports", () => {
    expect(places(all, /^\s*export\s+default\b|\bas default\b/)).toEqual([]);
  });

  test("no inheritance but of Error", () => {
    expect(places(src, /\bclass\b[^{]*\bextends\s+(?!Error\b)/)).toEqual([]);
  });

  test("no suppressed checks", () => {
    const lines = all.flatMap(({ path, lines: texts }) =>
      texts.flatMap((line, index) =>
        /\/\/\s*@ts-(?:ignore|nocheck)/.test(line) ? [`${path}:${index + 1}`] : [],
      ),
    );
    expect(lines).toEqual([]);
  });

  test("no test runs alone", () => {
    const tests = all.filter(({ path }) => path.startsWith("test/"));
    expect(places(tests, /\b(?:test|describe|it)\.only\b/)).toEqual([]);
  });
});
