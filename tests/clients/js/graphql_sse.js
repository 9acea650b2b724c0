import { client } from "./docs/graphql_sse.js";
import { over } from "./over.js";

export const { query, mutate, subscribe, persisted } = over(client);

export const uploads = false;
