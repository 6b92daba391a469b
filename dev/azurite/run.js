// Runs Azurite until standard input closes: the parent holds the other end, so Azurite ends with it even when the parent is killed.
process.stdin.resume();
process.stdin.on("close", () => process.exit(0));
process.stdin.on("end", () => process.exit(0));
// What nothing refers to any more stays in memory. The collector takes each piece out by sorting the list of all of them again:
// with tens of thousands Azurite answers nobody for many minutes, which no storage account does.
const sixHours = 6 * 60 * 60 * 1000;
for (const service of ["blob", "queue"]) {
  const constants = require(`azurite/dist/src/${service}/utils/constants.js`);
  if (!(constants.DEFAULT_GC_INTERVAL_MS > 0)) {
    throw new Error(`Azurite's ${service} service has no DEFAULT_GC_INTERVAL_MS any more: look how its collector is set now`);
  }
  constants.DEFAULT_GC_INTERVAL_MS = sixHours;
}
require("azurite/dist/src/azurite.js");
