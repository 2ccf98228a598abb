// Which Millrace this is: the version of package.json, and the commit when the build names it.

import packageJson from "../../package.json" with { type: "json" };

export const VERSION: string = packageJson.version;

/** Set by `bun build --define MILLRACE_COMMIT='"…"'`; not declared otherwise. */
declare const MILLRACE_COMMIT: string | undefined;

export const COMMIT: string | undefined = typeof MILLRACE_COMMIT === "string" ? MILLRACE_COMMIT : undefined;
