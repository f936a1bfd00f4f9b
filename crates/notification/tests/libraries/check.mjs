// Receives webhooks from `deliver` and checks them with the npm package `standardwebhooks` (HMAC) and node's own crypto
// (Ed25519, which that package does not know). Usage: node check.mjs PATH-TO-DELIVER
import { execFile } from "node:child_process";
import { createPublicKey, verify as verifySignature } from "node:crypto";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const received = [];
const failedOnce = new Set();
const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    received.push([request.url, request.headers, Buffer.concat(chunks)]);
    const key = `${request.url} ${request.headers["webhook-id"]}`;
    response.statusCode = failedOnce.has(key) ? 200 : 503;
    failedOnce.add(key);
    response.end();
  });
});

function verify(secret, headers, body) {
  if (!secret.startsWith("whpk_")) {
    new Webhook(secret).verify(body, headers);
    return;
  }
  // SubjectPublicKeyInfo of Ed25519 (RFC 8410).
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(secret.slice(5), "base64")]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  const content = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`), body]);
  const all = headers["webhook-signature"].split(" ").filter((s) => s.startsWith("v1a,"));
  if (!all.some((s) => verifySignature(null, content, key, Buffer.from(s.slice(4), "base64")))) throw new Error("no match");
}

function refused(secret, headers, body) {
  try {
    verify(secret, headers, body);
  } catch {
    return;
  }
  throw new Error("a forged webhook was accepted");
}

server.listen(0, "127.0.0.1", () => {
  execFile(process.argv[2], [`http://127.0.0.1:${server.address().port}`], (error, stdout, stderr) => {
    if (error) throw new Error(stderr);
    const secrets = Object.fromEntries(stdout.trim().split("\n").map(JSON.parse).map((l) => [l.path, l.secrets]));
    let checked = 0;
    for (const [path, headers, body] of received) {
      for (const secret of secrets[path]) {
        verify(secret, headers, body);
        refused(secret, headers, Buffer.concat([body, Buffer.from(" ")]));
        refused(secret, { ...headers, "webhook-id": "msg_other" }, body);
        checked += 1;
      }
    }
    const ids = new Set(received.map(([, headers]) => headers["webhook-id"]));
    if (received.length !== 13 || ids.size !== 2) throw new Error(`${received.length} requests, ${ids.size} ids`);
    console.log(`npm standardwebhooks: ${checked} of ${checked} signatures verified over ${received.length} requests`);
    server.close();
  });
});
