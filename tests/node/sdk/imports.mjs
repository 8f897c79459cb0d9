// Imports a package that the oracles are made of.
import { readFileSync } from "node:fs";

export const version_of = async ({ name, from = name }) => {
  await import(from);
  return JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url))).version;
};

export const raise = () => {
  throw Object.assign(new TypeError("on purpose"), { status: 418 });
};
