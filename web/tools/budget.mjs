// Fails where the build weighs more than its budget: budget.mjs [DIRECTORY]
import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { brotliCompressSync } from "node:zlib";

/** Most kB, packed with brotli. `first` is what the first page needs before it can show anything. */
export const BUDGET = { first: 220, css: 15, lazy: 130, all: 600 };

/** What a build weighs in kB, and what of it is too much. */
export function weigh(directory, budget = BUDGET) {
  const index = readFileSync(join(directory, "index.html"), "utf8");
  const sizes = { first: 0, css: 0, lazy: 0, all: 0 };
  for (const name of readdirSync(directory, { recursive: true })) {
    const path = join(directory, name);
    if (!statSync(path).isFile() || /\.(br|gz)$/.test(path)) continue;
    const kb = brotliCompressSync(readFileSync(path)).length / 1000;
    sizes.all += kb;
    if (extname(path) === ".css") sizes.css += kb;
    if (extname(path) !== ".js") continue;
    if (index.includes(name)) sizes.first += kb;
    else sizes.lazy = Math.max(sizes.lazy, kb);
  }
  const over = Object.keys(budget).filter((key) => sizes[key] > budget[key]);
  return { sizes, over };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const directory = process.argv[2] ?? process.env.WAYBILL_CONSOLE_OUT ?? "dist";
  const { sizes, over } = weigh(directory);
  if (sizes.first === 0) throw new Error(`${directory}/index.html names no script of the build`);
  for (const [key, kb] of Object.entries(sizes)) console.log(`${key} ${kb.toFixed(1)} of ${BUDGET[key]} kB`);
  if (over.length > 0) {
    console.error(`over the budget: ${over.join(", ")}`);
    process.exit(1);
  }
}
