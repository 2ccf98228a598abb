// Process entry: a command ends the process in runCommandLine(); without one the program is a broker.

import { beginTuned, namesCommand } from "./cli/engine.ts";

if (!namesCommand(process.argv.slice(2))) beginTuned(process);
const { runCommandLine } = await import("./cli/commandLine.ts");
const commandLine = await runCommandLine(process.argv.slice(2));
const { serve } = await import("./cli/serve.ts"); // most of the program, which a command does without
await serve(commandLine);
