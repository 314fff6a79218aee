// Early hints of Node's server through BWS to Node's clients:
// node hints.mjs BWS_PORT UPSTREAM_PORT CONTROL_PORT http1|http2      (started by early_hints.py)
import events from "node:events";
import http from "node:http";
import http2 from "node:http2";
const [bws, upstream, told] = process.argv.slice(2, 5).map(Number);
const protocol = process.argv[5];

// Hints at once; the answer when its client has said by another request that it has them.
const waiting = new Map();
const links = ["</a.css>; rel=preload; as=style", "</b.js>; rel=preload"];
const number = (path) => path.split("/")[2];
const later = (path, answer) => waiting.set(number(path), () => answer(`answer ${number(path)}`));
function hint(request, response) {
  response.writeProcessing();
  response.writeEarlyHints({ link: links, "x-number": number(request.url) });
  later(request.url, (text) => response.end(text));
}
function hintOnStream(stream, headers) {
  stream.additionalHeaders({ ":status": 102 });
  stream.additionalHeaders({ ":status": 103, link: links.join(", "), "x-number": number(headers[":path"]) });
  later(headers[":path"], (text) => {
    stream.respond({ ":status": 200 });
    stream.end(text);
  });
}
const server = protocol === "http2" ? http2.createServer().on("stream", hintOnStream) : http.createServer(hint);
server.listen(upstream, "127.0.0.1");
const listener = http.createServer((request, response) => {
  waiting.get(number(request.url))();
  waiting.delete(number(request.url));
  response.end();
});
listener.listen(told, "127.0.0.1");
await Promise.all([events.once(server, "listening"), events.once(listener, "listening")]);
console.log("listening");
await new Promise((resolve) => process.stdin.once("data", resolve));

const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
const control = new http.Agent({ keepAlive: true });
const seen = (number) =>
  http.get({ host: "127.0.0.1", port: told, path: `/seen/${number}`, agent: control }, (response) => response.resume());

function check(number, hints) {
  if (hints.length !== 2 || hints[0].status !== 102 || hints[1].status !== 103) throw new Error(`${number}: ${JSON.stringify(hints)}`);
  const { link, "x-number": own } = hints[1].headers;
  if (own !== String(number) || !String(link).includes("/b.js")) throw new Error(`${number}: ${JSON.stringify(hints[1])}`);
}

async function ask(number) {
  const hints = [];
  const request = http.get({ host: "localhost", port: bws, path: `/hint/${number}`, agent });
  request.on("information", ({ statusCode, headers }) => {
    hints.push({ status: statusCode, headers });
    if (statusCode === 103) seen(number);
  });
  const [response] = await events.once(request, "response");
  let text = "";
  for await (const part of response) text += part;
  if (text !== `answer ${number}`) throw new Error(text);
  check(number, hints);
}

async function askHttp2(session, number) {
  const hints = [];
  const stream = session.request({ ":path": `/hint/${number}` });
  stream.on("headers", (headers) => {
    hints.push({ status: headers[":status"], headers });
    if (headers[":status"] === 103) seen(number);
  });
  let text = "";
  for await (const part of stream) text += part;
  if (text !== `answer ${number}`) throw new Error(text);
  check(number, hints);
}

await Promise.all(Array.from({ length: 500 }, (_, number) => ask(number)));
console.log(`node, HTTP/1.1, of ${protocol}: 500 answers, each after its 102 and 103, which had come before the upstream had said more`);
const session = http2.connect(`http://localhost:${bws}`);
await Promise.all(Array.from({ length: 100 }, (_, number) => askHttp2(session, 1000 + number)));
console.log(`node, HTTP/2, of ${protocol}: 100 answers, the same`);
process.exit(0);
