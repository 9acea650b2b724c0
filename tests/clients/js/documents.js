// The operations that every client sends.
export { PUBLISHED } from "./docs/published.js";

export const PRICE = `query Price($list: ID!) {
  snapshot(priceList: $list) { id version price(sku: "a") { id amount } }
}`;

export const PAGE = `query Page($list: ID!) {
  snapshot(priceList: $list) { id version prices(first: 10) { nodes { id sku amount } } }
}`;

export const PUBLISH = `mutation Publish($input: PublishBatchInput!) {
  publishBatch(input: $input) { batch { id state version } userErrors { code message } }
}`;
