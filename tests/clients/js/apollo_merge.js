// Apollo Client with caches that merge objects instead of replacing them.
import { client } from "./docs/apollo.js";

client.cache.policies.addTypePolicies({
  Query: { fields: { snapshot: { merge: true } } },
  Snapshot: { merge: true },
  PriceConnection: { merge: true },
});

export * from "./apollo.js";
