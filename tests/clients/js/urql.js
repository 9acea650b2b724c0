import { client } from "./docs/urql.js";

const data = ({ data, error }) => {
  if (error) throw error;
  return data;
};

export const query = async (document, variables) => data(await client.query(document, variables));

export const reread = async (document, variables) =>
  data(await client.query(document, variables, { requestPolicy: "network-only" }));

export const mutate = async (document, variables) => data(await client.mutation(document, variables));

export const subscribe = (document, variables, next) =>
  client.subscription(document, variables).subscribe((result) => next(data(result)));

export const watch = (document, variables, next) =>
  client.query(document, variables).subscribe((result) => next(data(result)));
