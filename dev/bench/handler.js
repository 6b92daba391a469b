// A minimal custom handler for Node.js without any package: it does what `cargo xtask bench start` asks of ours, that is,
// takes a queue invocation apart, reads the message, and turns one of another version away.

"use strict";

const http = require("node:http");

function answer(response, status, value) {
  const body = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

http
  .createServer((request, response) => {
    if (request.method === "GET" && request.url === "/") {
      answer(response, 200, {});
      return;
    }
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      try {
        const invocation = JSON.parse(Buffer.concat(chunks).toString("utf8"));
        const message = JSON.parse(JSON.parse(Object.values(invocation.Data)[0]));
        if (message.v === 1) {
          answer(response, 200, { Outputs: {}, Logs: [], ReturnValue: null });
          return;
        }
      } catch {
        // Answered below.
      }
      answer(response, 500, { title: "a message of another version", status: 500 });
    });
  })
  .listen(Number(process.env.FUNCTIONS_CUSTOMHANDLER_PORT), "127.0.0.1");
