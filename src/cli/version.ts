// `millrace version`: everything that a report of a fault should begin with.

import type { Command } from "commander";
import { COMMIT, VERSION } from "../base/version.ts";

const HELP = `
Examples:
  millrace version
  millrace version --json | jq -r .commit

Exit status: 0.
`;

/** One line: version, commit if the build named it, Bun's version, platform. */
export function versionText(): string {
  const commit = COMMIT === undefined ? "" : ` (${COMMIT})`;
  return `millrace ${VERSION}${commit}, Bun ${Bun.version}, ${process.platform} ${process.arch}`;
}

export function register(command: Command): void {
  command.option("--json", "as JSON").addHelpText("after", HELP);
  command.action(({ json }: { json?: true }) => {
    const fields = {
      version: VERSION,
      commit: COMMIT ?? null,
      bun: Bun.version,
      platform: process.platform,
      arch: process.arch,
    };
    process.stdout.write(`${json ? JSON.stringify(fields) : versionText()}\n`);
  });
}
