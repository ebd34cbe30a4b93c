// Creates a session, pairs it by QR and follows its status: the main job of Roost from Node.js.
//
//   ROOST_ADDRESS=127.0.0.1:50051 ROOST_API_KEY=... node pair.js [session-id]
//
// Prints one JSON object per line: {"qr": …} to draw, {"paired": …}, {"state": …} for every status;
// ends when the session is ACTIVE. Stock packages and the .proto files only.
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const protos = fileURLToPath(new URL("../../protos", import.meta.url));
const definition = protoLoader.loadSync(
  ["roost/v1/session_service.proto", "roost/v1/event_service.proto"],
  { includeDirs: [protos], keepCase: false, longs: Number, enums: String, arrays: true, oneofs: true },
);
const { roost } = grpc.loadPackageDefinition(definition);

const address = process.env.ROOST_ADDRESS ?? "127.0.0.1:50051";
const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${process.env.ROOST_API_KEY}`);
const credentials = grpc.credentials.createInsecure();
const sessions = new roost.v1.SessionService(address, credentials);
const events = new roost.v1.EventService(address, credentials);

const print = (line) => console.log(JSON.stringify(line));

function call(client, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, metadata, (error, response) =>
      error ? reject(error) : resolve(response),
    );
  });
}

// Follows the session until it is ACTIVE; after a broken stream it goes on after the last cursor.
async function untilActive(name) {
  let start = { fromSnapshot: {} };
  for (let attempt = 0; attempt < 10; attempt++) {
    const stream = events.subscribeEvents({ sessions: [name], ...start }, metadata);
    try {
      for await (const response of stream) {
        const changed = response.events.map((event) => event.sessionChanged?.session);
        for (const session of [response.snapshot, ...changed]) {
          if (!session) continue;
          print({ state: session.state, reason: session.condition?.reason });
          if (session.state === "STATE_ACTIVE") {
            stream.cancel();
            return;
          }
        }
        start = { afterCursor: response.cursor };
      }
    } catch (error) {
      if (error.code !== grpc.status.UNAVAILABLE) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error("the session did not become ACTIVE");
}

async function pair(name) {
  for await (const step of sessions.pairSession({ name, qr: {} }, metadata)) {
    if (step.qrCode) print({ qr: step.qrCode.payload });
    if (step.completed) print({ paired: step.completed.account.jid });
  }
}

const { session } = await call(sessions, "createSession", {
  sessionId: process.argv[2] ?? "",
  session: { displayName: "from Node.js" },
  requestId: randomUUID(),
});
await Promise.all([pair(session.name), untilActive(session.name)]);
sessions.close();
events.close();
