// `bun run reference`: writes config/demo.toml and the README's table of keys from the table in src/config/keys.ts.

import { join } from "node:path";
import { referenceMarkdown, sampleToml } from "../../src/config/reference.ts";

const ROOT = join(import.meta.dir, "../..");
const OPEN = "<!-- keys -->\n";
const CLOSE = "<!-- /keys -->";

const readme = await Bun.file(join(ROOT, "README.md")).text();
const from = readme.indexOf(OPEN) + OPEN.length;
const to = readme.indexOf(CLOSE);
if (from < OPEN.length || to < from) throw new Error("README.md has no place for the table of keys");
await Bun.write(
  join(ROOT, "README.md"),
  `${readme.slice(0, from)}${referenceMarkdown()}\n${readme.slice(to)}`,
);
await Bun.write(join(ROOT, "config/demo.toml"), sampleToml());
