// Questions to /api/v1, with the token of this browser tab if it has one.

const TOKEN_KEY = "millrace-token";

/** The broker wants a token. */
export class SignInNeeded extends Error {
  override readonly name = "SignInNeeded";
}

export function rememberToken(token: string): void {
  sessionStorage.setItem(TOKEN_KEY, token);
}

export function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = new Headers(init.headers);
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  return fetch(`/api/v1${path}`, { ...init, headers });
}

/** The answer as JSON; rejects with what the broker said when it refused. */
export async function json<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await ask(path, init);
  if (response.status === 401) throw new SignInNeeded("the console wants a token");
  const body = (await response.json()) as T & { error?: string };
  if (!response.ok) throw new Error(body.error ?? `status ${response.status}`);
  return body;
}

export function query(values: Record<string, string | number>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== "") parameters.set(name, String(value));
  return `?${parameters.toString()}`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
