import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The pages run under a policy without inline scripts and styles: nothing is inlined, and no polyfill is put into the page.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: process.env.WAYBILL_CONSOLE_OUT ?? "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: "es2022",
  },
});
