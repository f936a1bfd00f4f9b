// Tokens made by jose, one JSON object a line; and our token, verified by jose. Reads what `tokens facts` prints.
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { CompactEncrypt, CompactSign, SignJWT, UnsecuredJWT, exportJWK, jwtVerify } from "jose";

const facts = JSON.parse(readFileSync(0, "utf8"));
const { header, claims } = facts;
const pkcs8 = (seed) => createPrivateKey({
  key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]), format: "der", type: "pkcs8",
});
const ours = pkcs8(Buffer.from(facts.seed, "base64url"));
const theirs = generateKeyPairSync("ed25519").privateKey;
const publicRaw = Buffer.from(facts.public, "base64url");
const publicPem = createPublicKey(ours).export({ format: "pem", type: "spki" });
const secret = (bytes) => new Uint8Array(bytes);
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const now = Math.floor(Date.now() / 1000);

const tell = (name, good, token) => console.log(JSON.stringify({ by: "jose", name, good, token }));
const sign = (head, body, key = ours) => new SignJWT(body).setProtectedHeader(head).sign(key);
const bad = async (name, token) => tell(name, false, await token);
const head = (more) => ({ ...header, ...more });
const body = (more) => ({ ...claims, ...more });
const without = (of, name) => Object.fromEntries(Object.entries(of).filter(([key]) => key !== name));

const { payload, protectedHeader } = await jwtVerify(facts.token, createPublicKey(ours), {
  algorithms: ["EdDSA"], audience: claims.aud, issuer: claims.iss, typ: "at+jwt",
});
if (payload.sub !== claims.sub || protectedHeader.kid !== header.kid) throw new Error("jose reads our token otherwise");

tell("plain", true, await sign(header, claims));
tell("built", true, await new SignJWT({ sid: claims.sid, roles: claims.roles }).setSubject(claims.sub)
  .setIssuer(claims.iss).setAudience(claims.aud).setIssuedAt().setNotBefore("0s").setExpirationTime("10m")
  .setProtectedHeader({ kid: header.kid, typ: "at+jwt", alg: "EdDSA" }).sign(ours));

await bad("unsecured", new UnsecuredJWT(claims).encode());
for (const alg of ["HS256", "HS384", "HS512"]) {
  await bad(`${alg} with the raw public key padded`, sign(head({ alg }), claims, secret(Buffer.concat([publicRaw, publicRaw]))));
  await bad(`${alg} with the public key in PEM`, sign(head({ alg }), claims, secret(Buffer.from(publicPem))));
}
await bad("RS256", sign(head({ alg: "RS256" }), claims, rsa));
await bad("PS256", sign(head({ alg: "PS256" }), claims, rsa));
await bad("ES256", sign(head({ alg: "ES256" }), claims, ec));
await bad("Ed25519 as alg", sign(head({ alg: "Ed25519" }), claims));
await bad("their key, our kid", sign(header, claims, theirs));
await bad("their key in jwk", sign(head({ jwk: await exportJWK(createPublicKey(theirs)) }), claims, theirs));
await bad("our key in jwk", sign(head({ jwk: await exportJWK(createPublicKey(ours)) }), claims));
for (const [name, more] of Object.entries({
  "kid a path": { kid: "../../../../dev/null" }, "kid SQL": { kid: "x' UNION SELECT 'key' -- " }, "kid empty": { kid: "" },
  "typ JWT": { typ: "JWT" }, "typ of a refresh token": { typ: "rt+jwt" }, "cty": { cty: "JWT" },
})) await bad(name, sign(head(more), claims));
for (const [name, more] of Object.entries({ jku: "https://evil.example/keys", x5u: "https://evil.example/cert" })) {
  await bad(name, sign(head({ [name]: more }), claims, theirs));
}
await bad("no kid", sign(without(header, "kid"), claims));
await bad("no typ", sign(without(header, "typ"), claims));
for (const [name, more] of Object.entries({
  "aud of another": { aud: "merx/other" }, "aud a list": { aud: [claims.aud] }, "iss of another": { iss: "https://evil.example" },
  "expired": { iat: now - 700, exp: now - 100 }, "not yet": { nbf: now + 600 }, "made in the future": { iat: now + 600 },
  "a claim more": { admin: true }, "a role we do not have": { roles: ["root"] }, "roles a text": { roles: "administrator" },
  "sub of another kind": { sub: "ord_00000000000000000000000005" }, "exp a fraction": { exp: now + 600.5 },
  "huge": { roles: Array(4000).fill("customer") },
})) await bad(name, sign(header, body(more)));
for (const name of ["aud", "iss", "sub", "sid", "roles", "exp", "iat"]) await bad(`no ${name}`, sign(header, without(claims, name)));
const encode = (text) => new TextEncoder().encode(text);
await bad("nested", new CompactSign(encode(await sign(header, claims))).setProtectedHeader(head({ cty: "JWT" })).sign(ours));
await bad("encrypted", new CompactEncrypt(encode(JSON.stringify(claims)))
  .setProtectedHeader({ alg: "dir", enc: "A256GCM", typ: "at+jwt", kid: header.kid }).encrypt(secret(publicRaw)));
await bad("crit", new CompactSign(encode(JSON.stringify(claims)))
  .setProtectedHeader(head({ crit: ["b64"], b64: true })).sign(ours));
