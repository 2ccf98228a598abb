// Service: the brokers that the SRV records of a domain name, for `-S` (RFC 2782).

import { resolveSrv } from "node:dns/promises";
import { ConnectError } from "./connectError.ts";
import type { Target } from "./target.ts";

const PLAIN = "_mqtt._tcp";
const TLS = "_secure-mqtt._tcp";

/** Those that serve `target.host`, the ones to try first at the front. Rejects with ConnectError when there is none. */
export async function locate(target: Target): Promise<Target[]> {
  const name = `${target.tls ? TLS : PLAIN}.${target.host}`;
  const { isService: _, ...rest } = target;
  try {
    const records = await resolveSrv(name);
    if (records.length === 0) throw new Error("none");
    return records
      .toSorted((a, b) => a.priority - b.priority || b.weight - a.weight)
      .map(({ name: host, port }) => ({ ...rest, host, port }));
  } catch (error) {
    const { code = "" } = error as { code?: string };
    const detail = code === "" ? "" : ` (${code})`;
    throw new ConnectError("", `no SRV record ${name} says where it is${detail}`);
  }
}
