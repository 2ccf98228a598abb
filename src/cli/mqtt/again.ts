// A connection made anew: after each failure it waits longer, and says so.

import { CommandError } from "../end.ts";
import { Client, type ClientTerms, type MessageHandler } from "./client.ts";
import { EXIT_LOST, type LostError } from "./failure.ts";

const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;

/** Gets a sentence for people. */
export type Warn = (text: string) => void;

/** Resolves once the broker has accepted; throws CommandError when `lost` will not pass by waiting. */
export async function connectAgain(
  lost: LostError,
  terms: ClientTerms,
  onMessage: MessageHandler,
  warn: Warn,
): Promise<Client> {
  if (!lost.mayPass) throw new CommandError(`the connection is lost: ${lost.message}`, EXIT_LOST);
  warn(`${lost.message}; connecting again`);
  for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
    await Bun.sleep(waitMs);
    try {
      return await Client.connect(terms, onMessage);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      warn(`${error.message}; trying again`);
    }
  }
}
