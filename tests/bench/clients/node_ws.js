// JSON lines with node and `ws`, as its documentation shows.
//
// node node_ws.js URL COUNT [--batch]     --batch: one write for all the lines of a turn of the event loop
const WebSocket = require("ws");

const [url, count, batch] = [process.argv[2], Number(process.argv[3]), process.argv.includes("--batch")];
const ws = new WebSocket(url);
let seen = 0;
let lines = [];

function write(line) {
  if (!batch) {
    process.stdout.write(line);
    return;
  }
  if (lines.length === 0) {
    setImmediate(() => {
      process.stdout.write(lines.join(""));
      lines = [];
    });
  }
  lines.push(line);
}

ws.on("open", () => ws.send(JSON.stringify({ action: "auth", key: "demo" })));
ws.on("message", (message) => {
  const data = JSON.parse(message);
  if (data.type === "quote") {
    write(JSON.stringify(data.data) + "\n");
    seen += 1;
    if (seen === count) ws.close();
  } else if (data.type === "authenticated") {
    ws.send(JSON.stringify({ action: "subscribe", symbols: ["EURUSD", "XAUUSD"] }));
  }
});
ws.on("close", () => {
  process.exitCode = seen === count ? 0 : 1;
});
