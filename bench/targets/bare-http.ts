// The baseline: `node:http` that answers every request at once, with the headers and the length that the other targets
// answer with, and keeps no state.
//
// Rule: nothing here may be slower than the least that a Node server must do; every ratio of the bench divides by it.
// Rejected: parsing the path (a bare server need not), a hand-made parser on `node:net` (nobody serves HTTP that way).

import { createServer } from "node:http";

const port = Number(process.argv[2]);

createServer((request, response) => {
  request.resume();
  response.writeHead(200, { "content-type": "text/plain;charset=UTF-8", "content-length": 1 });
  response.end("1");
}).listen(port, "127.0.0.1");
