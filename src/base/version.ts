// Which Millrace this is: the versions of package.json, and the commit when the build names it.

import packageJson from "../../package.json" with { type: "json" };

export const VERSION: string = packageJson.version;

/** The Bun that it is built and tested with. */
export const BUN_VERSION: string = packageJson.dependencies.bun;

/** Set by `bun build --define MILLRACE_COMMIT='"…"'`; not declared otherwise. */
declare const MILLRACE_COMMIT: string | undefined;

export const COMMIT: string | undefined = typeof MILLRACE_COMMIT === "string" ? MILLRACE_COMMIT : undefined;
