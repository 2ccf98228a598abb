// Pages: `/` for whoever comes by. Browsers are sent to the dashboard, which server.ts serves from within the program;
// programs get where things are.

import { Hono } from "hono";

export const DASHBOARD = "/dashboard";

export function pages(): Hono {
  const app = new Hono();
  app.get("/", (c) => {
    if (c.req.header("accept")?.includes("text/html") === true) return c.redirect(DASHBOARD);
    return c.json({
      name: "millrace",
      dashboard: DASHBOARD,
      api: "/api/v1",
      description: "/api/v1/openapi.json",
    });
  });
  return app;
}
