// Places an order with nothing but the generated types: node out/order.js <url> <email> <password>
import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { paths } from "./generated.js";

const [url, email, password] = process.argv.slice(2);
if (!url || !email || !password) throw new Error("usage: order.js <url> <email> <password>");

const api = createClient<paths>({ baseUrl: url });
const key = () => ({ "Idempotency-Key": randomUUID() });

function ok<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (!answer.response.ok || answer.data === undefined) {
    throw new Error(`${answer.response.url}: ${answer.response.status} ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

/** For answers without a body. */
function done(answer: { error?: unknown; response: Response }): void {
  if (!answer.response.ok) {
    throw new Error(`${answer.response.url}: ${answer.response.status} ${JSON.stringify(answer.error)}`);
  }
}

const session = ok(await api.POST("/v1/sessions", { body: { email, password } }));
api.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${session.access_token}`);
    return request;
  },
});

const products = ok(await api.GET("/v1/products", { params: { query: { limit: 50 } } }));
const sku = products.items.flatMap((product) => product.skus).find((sku) => sku.sku.startsWith("T"))?.sku;
if (!sku) throw new Error("nothing to buy");

const address = ok(
  await api.POST("/v1/addresses", {
    params: { header: key() },
    body: {
      country: "CN", region: "浙江省", city: "杭州市", line1: "西湖区龙井路 1 号",
      postcode: "310013", recipient: "王小明", phone: "13800138000",
    },
  }),
);
done(await api.PUT("/v1/cart/lines/{sku}", { params: { path: { sku } }, body: { quantity: 2 } }));
const cart = ok(await api.GET("/v1/cart"));
const quote = ok(
  await api.POST("/v1/checkouts/{cart}/quote", {
    params: { path: { cart: cart.id } },
    body: { address_id: address.id },
  }),
);
const order = ok(
  await api.POST("/v1/checkouts/{cart}/orders", {
    params: { path: { cart: cart.id }, header: key() },
    body: { address_id: address.id, shipping_method: quote.shipping_method, quote_id: quote.quote_id },
  }),
);
const seen = ok(await api.GET("/v1/orders/{order}", { params: { path: { order: order.id } } }));
if (seen.id !== order.id || seen.lines[0]?.quantity !== 2) throw new Error(`not the order: ${JSON.stringify(seen)}`);
console.log(`TypeScript: order ${seen.id} of ${seen.amounts.total.minor} ${seen.amounts.total.currency}, ${seen.status}`);
