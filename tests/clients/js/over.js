// Sends operations with graphql-ws or graphql-sse, which have the same interface.
import { createHash } from "node:crypto";

export function over(client) {
  const send = (request) =>
    new Promise((resolve, reject) => {
      let result;
      client.subscribe(request, { next: (value) => (result = value), error: reject, complete: () => resolve(result) });
    });
  const query = async (document, variables) => (await send({ query: document, variables })).data;
  return { query, mutate: query, subscribe, persisted };

  function subscribe(document, variables, next) {
    const sink = { next: ({ data }) => next(data), error: console.error, complete: () => next("complete") };
    client.subscribe({ query: document, variables }, sink);
  }

  // Sends the hash alone, then the document with its hash, then the hash alone again. graphql-ws needs a `query`.
  async function persisted(document, variables) {
    const sha256Hash = createHash("sha256").update(document).digest("hex");
    const extensions = { persistedQuery: { version: 1, sha256Hash } };
    const [unknown] = await send({ query: "", variables, extensions }).then(({ errors }) => errors, (errors) => errors);
    await send({ query: document, variables, extensions });
    return { unknown: unknown.extensions.code, ...(await send({ query: "", variables, extensions })).data };
  }
}
