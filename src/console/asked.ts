// Asked: what a request to the console asks for: which part of a list, which message. What is wrong becomes a
// RequestError, which says so.

import type { Context } from "hono";
import type { PageQuery } from "./view.ts";

/** Items of one answer, whatever list it is of; LIST_DEFAULT unless asked otherwise. */
export const LIST_MAX = 1000;
export const LIST_DEFAULT = 100;
/** Bytes of one request's body. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024;

/** What the asker got wrong. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly status: 400 | 413;

  constructor(message: string, status: 400 | 413 = 400) {
    super(message);
    this.status = status;
  }
}

/** `offset`, `limit` and `search` of the query. */
export function pageOf(context: Context, absent = LIST_DEFAULT): PageQuery {
  return {
    offset: numberOf(context, "offset", 0, Number.MAX_SAFE_INTEGER, 0),
    limit: numberOf(context, "limit", 1, LIST_MAX, absent),
    search: context.req.query("search") ?? "",
  };
}

function numberOf(context: Context, name: string, minimum: number, maximum: number, absent: number): number {
  const text = context.req.query(name);
  if (text === undefined) return absent;
  const value = Number(text);
  if (text !== "" && Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw new RequestError(`${name} = ${text}: must be an integer in ${minimum}..${maximum}`);
}

/** A parameter that names something: there is no empty one. */
export function nameOf(context: Context, name: string): string {
  const text = context.req.query(name) ?? "";
  if (text === "") throw new RequestError(`${name} is missing`);
  return text;
}

/** The body as JSON. */
export async function bodyOf(context: Context): Promise<unknown> {
  const body = await context.req.arrayBuffer();
  if (body.byteLength > BODY_BYTES_MAX) {
    throw new RequestError(`the body has ${body.byteLength} bytes: at most ${BODY_BYTES_MAX}`, 413);
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) as unknown;
  } catch {
    throw new RequestError("the body must be JSON, in UTF-8");
  }
}
