// Loads the sources of the pages without a browser.
import { createServer } from "vite";

/** A module of the pages as they run. */
export async function source(path) {
  const server = await createServer({ server: { middlewareMode: true, ws: false }, appType: "custom", logLevel: "error", optimizeDeps: { noDiscovery: true } });
  try {
    return await server.ssrLoadModule(path);
  } finally {
    await server.close();
  }
}
