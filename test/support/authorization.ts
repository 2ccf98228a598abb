// Authorisation for tests: rules as a configuration states them, and clients that are who they say they are.

import type { Authenticate } from "../../src/auth/embedded.ts";
import type { AuthorizationSettings } from "../../src/config/aclSettings.ts";
import { parseConfig } from "../../src/config/load.ts";

/** `[authorization]` and `[[acl]]` of a file. */
export function authorizationOf(text: string): AuthorizationSettings {
  const file = `[v4.1]\nlisten = "127.0.0.1:0"\n${text}`;
  return parseConfig({ text: file, file: "test.toml" }).settings.authorization;
}

/** The User Name is who it is; `user@tenant` is of that tenant. Nobody is asked for a password. */
export const trusting: Authenticate = ({ userName = "" }) => {
  const [name = "", tenant = null] = userName.split("@");
  const more = { rights: null, expiresWallMs: Number.POSITIVE_INFINITY };
  return { granted: true, userName: name, tenant, claims: { name }, ...more };
};
