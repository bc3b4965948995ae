// Packs every file of the build beside itself, so that the server sends bytes that were packed once, as small as they get.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const out = process.env.WAYBILL_CONSOLE_OUT ?? "dist";
for (const name of readdirSync(out, { recursive: true })) {
  const path = join(out, name);
  if (!statSync(path).isFile() || /\.(br|gz)$/.test(path)) continue;
  const bytes = readFileSync(path);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  for (const [ending, packed] of [["br", brotliCompressSync(bytes, { params })], ["gz", gzipSync(bytes, { level: 9 })]]) {
    // A form that saves nothing is left out, and the plain one is sent.
    if (packed.length < bytes.length) writeFileSync(`${path}.${ending}`, packed);
  }
}
