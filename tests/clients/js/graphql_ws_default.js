// graphql-ws with its default configuration, which connects again only where a server takes over at once.
import { createClient } from "graphql-ws";
import { resuming } from "./docs/resuming.js";
import { over } from "./over.js";

export const { subscribe } = over(resuming(createClient({ url: `${process.env.PRICEBOOK_URL.replace("http", "ws")}/graphql` })));
