// WebSockets of the npm package 'ws' through BWS: node ws.mjs BWS_PORT UPSTREAM_PORT   (started by node_websockets.py)
import events from "node:events";
import { createRequire } from "node:module";
const require = createRequire(process.env.NODE_FROM + "/");
const { WebSocket, WebSocketServer } = require("ws");

const [bws, upstream] = process.argv.slice(2).map(Number);
const server = new WebSocketServer({ port: upstream, host: "127.0.0.1", perMessageDeflate: true, maxPayload: 32 << 20 });
server.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));

const once = async (socket, event) => (await events.once(socket, event))[0];

async function talk(number) {
  const socket = new WebSocket(`ws://localhost:${bws}/talk/${number}`, ["chat"], { perMessageDeflate: number % 2 === 0, maxPayload: 32 << 20 });
  await once(socket, "open");
  if (socket.protocol !== "chat") throw new Error(`protocol ${socket.protocol}`);
  for (let turn = 0; turn < 20; turn++) {
    const sent = Buffer.alloc(number === 0 ? Math.min(1 << turn, 16 << 20) : turn * 100, number + turn);
    socket.send(sent);
    const data = await once(socket, "message");
    if (!sent.equals(data)) throw new Error(`turn ${turn} of ${number}`);
  }
  socket.ping("still there?");
  const pong = await once(socket, "pong");
  if (String(pong) !== "still there?") throw new Error("pong");
  socket.close(4001, "done");
  const code = await once(socket, "close");
  if (code !== 4001) throw new Error(`closed with ${code}`);
}

await once(server, "listening");
console.log("listening");
await new Promise((resolve) => process.stdin.once("data", resolve));
await Promise.all(Array.from({ length: 100 }, (_, number) => talk(number)));
console.log("npm ws: 100 tunnels, every other one compressed, 2 000 messages up to 512 KiB, ping, close codes: all right");
process.exit(0);
