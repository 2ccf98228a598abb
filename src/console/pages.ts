// Pages: what a browser gets. Everything is within the program: no file beside it, no other host.

import { Hono } from "hono";

export function pages(): Hono {
  const app = new Hono();
  app.get("/", (c) => c.json({ name: "millrace", api: "/api/v1", description: "/api/v1/openapi.json" }));
  return app;
}
