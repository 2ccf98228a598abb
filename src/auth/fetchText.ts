// A bounded request: one answer, within a time, of a size, from where it was asked and nowhere else. What goes wrong is
// told without what was sent.

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Asked {
  readonly url: string;
  readonly timeoutMs: number;
  readonly bytesMax: number;
  /** CAs of an https server, in PEM; undefined stands for the system's. */
  readonly authorities?: string | undefined;
  readonly body?: string;
  readonly contentType?: string;
}

/** GET, or POST of `body`. Rejects with an Error whose message can be logged. */
export async function fetchText(asked: Asked): Promise<Answer> {
  const { url, timeoutMs, bytesMax, authorities, body, contentType } = asked;
  const request: BunFetchRequestInit = { redirect: "manual", signal: AbortSignal.timeout(timeoutMs) };
  if (authorities !== undefined) request.tls = { ca: authorities };
  if (body !== undefined) {
    request.method = "POST";
    request.body = body;
    request.headers = { "content-type": contentType ?? "text/plain" };
  }
  try {
    const response = await fetch(url, request);
    return { status: response.status, text: await bounded(response, bytesMax) };
  } catch (error) {
    throw new Error(`${placeOf(url)}: ${failureText(error, timeoutMs)}`);
  }
}

async function bounded(response: Response, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > bytesMax) throw new TooLong(bytesMax);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

class TooLong extends Error {
  override readonly name = "TooLong";

  constructor(bytesMax: number) {
    super(`an answer of more than ${bytesMax} bytes`);
  }
}

function failureText(error: unknown, timeoutMs: number): string {
  if (error instanceof TooLong) return error.message;
  if (error instanceof Error && error.name === "TimeoutError") return `no answer within ${timeoutMs} ms`;
  const { code } = error as { code?: unknown };
  if (typeof code !== "string") return "the request failed";
  return /CERT|SIGNATURE|ISSUER/.test(code) ? `${code}: its certificate is not trusted; see ca_file` : code;
}

/** Without what may be secret: user, password, query. */
export function placeOf(url: string): string {
  if (!URL.canParse(url)) return "a URL that cannot be read";
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
