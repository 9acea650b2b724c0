// Sends each kind of request with a client: node requests.js CLIENT LIST
import { subscribe } from "node:diagnostics_channel";
import { PRICE, PUBLISH } from "./documents.js";

const [name, list] = process.argv.slice(2);
const client = await import(`./${name}.js`);

const sent = [];
for (const channel of ["undici:request:create", "http.client.request.start"]) {
  subscribe(channel, ({ request }) => sent.push(`${request.method} ${decodeURIComponent(request.path)}`));
}

const batch = (key, more) => ({ input: { priceList: list, mode: "MERGE", idempotencyKey: `${list} ${key}`, ...more } });
const file = new File(['{"sku": "c", "amount": "3.00", "currency": "EUR"}\n'], "prices.ndjson");
const prices = [{ sku: "b", amount: "2.00", currency: "EUR" }];

const done = { query: await client.query(PRICE, { list }) };
done.mutation = await client.mutate(PUBLISH, batch("mutation", { prices }));
if (client.uploads !== false) done.upload = await client.mutate(PUBLISH, batch("upload", { file }));
done.persisted = client.persisted
  ? await client.persisted(`${PRICE} # for ${name}`, { list })
  : await client.reread(PRICE, { list });
done.sent = sent;
console.log(JSON.stringify(done));
process.exit();
