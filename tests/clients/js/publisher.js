// Another program, which publishes a version without any of the clients.
import { PUBLISH } from "./documents.js";

export async function publish(priceList, skus, amount) {
  const prices = skus.map((sku) => ({ sku, amount, currency: "EUR" }));
  const input = { priceList, mode: "REPLACE", idempotencyKey: `${priceList} ${amount}`, prices };
  const response = await fetch(`${process.env.PRICEBOOK_URL}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: PUBLISH, variables: { input } }),
  });
  const { data, errors } = await response.json();
  const refusals = errors ?? data.publishBatch.userErrors;
  if (refusals.length) throw new Error(JSON.stringify(refusals));
}
