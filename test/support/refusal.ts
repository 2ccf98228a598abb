// What a refused CONNECT looks like from outside.

import { expect } from "bun:test";
import type { WireClient } from "./wireClient.ts";

/** A refusal: CONNACK with one of the codes, Session Present 0, and a close. */
export async function expectRefusal(client: WireClient, ...codes: readonly number[]): Promise<void> {
  const connack = await client.expect("connack", { sessionPresent: false });
  expect(codes).toContain(connack.reasonCode ?? connack.returnCode ?? -1);
  await client.expectClosed();
}
