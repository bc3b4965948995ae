// Pictures of every page in both themes: screens.mjs DIRECTORY
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { VIEWER, World } from "./world.mjs";

const into = process.argv[2] ?? "screens";
mkdirSync(into, { recursive: true });
const world = await World.start();
try {
  const demo = await world.ran("demo");
  const broken = await world.ran("broken");
  await world.ran("hostile");
  for (const theme of ["light", "dark"]) {
    const page = await world.page({ theme });
    const shoot = async (name) => {
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      await page.screenshot({ path: join(into, `${name}-${theme}.png`), fullPage: true });
    };
    await page.goto(world.url);
    await page.getByLabel("Password").waitFor();
    await shoot("sign-in");
    for (const link of ["accept", "reset"]) {
      await page.goto(`${world.url}/${link}`);
      await page.getByLabel(/password/).waitFor();
      await shoot(link);
    }
    await world.signIn(page);
    await page.getByRole("table").first().waitFor();
    await shoot("pipelines");
    await page.getByRole("link", { name: "demo" }).first().click();
    await page.getByRole("region", { name: "Config" }).first().waitFor();
    await shoot("pipeline");
    const pages = [
      ["runs", "/runs"],
      ["run", `/runs/${demo}`],
      ["run-failed", `/runs/${broken}`],
      ["failure-codes", "/docs/failures"],
      ["data-planes", "/data-planes"],
      ["audit", "/audit"],
      ["people", "/settings/members"],
      ["sessions", "/settings/sessions"],
    ];
    for (const [name, path] of pages) {
      await page.goto(world.url + path);
      await page.getByRole("table").first().waitFor();
      if (name === "run") await page.getByRole("heading", { name: "Receipt" }).waitFor();
      await shoot(name);
    }
    await page.context().close();
  }
  const small = await world.page({ width: 320, height: 700 });
  await world.signIn(small, VIEWER);
  await small.getByRole("table").first().waitFor();
  await small.screenshot({ path: join(into, "pipelines-viewer-320.png"), fullPage: true });
  console.log(into);
} finally {
  await world.stop();
}
