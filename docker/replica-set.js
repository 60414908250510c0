// Makes the three servers one replica set, once, and waits until it has a primary.
const members = ["mongo1", "mongo2", "mongo3"].map((host, _id) => ({ _id, host: `${host}:27017` }));
try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  rs.initiate({ _id: "weft", members });
}
const deadline = Date.now() + 60000;
while (!rs.status().members.some((member) => member.stateStr === "PRIMARY")) {
  if (Date.now() > deadline) throw new Error("the replica set has no primary");
  sleep(500);
}
