// Runs Azurite until standard input closes: the parent holds the other end, so Azurite ends with it even when the parent is killed.
process.stdin.resume();
process.stdin.on("close", () => process.exit(0));
process.stdin.on("end", () => process.exit(0));
require("azurite/dist/src/azurite.js");
