import { parse } from "graphql";
import { changes, execute } from "./docs/executor_http.js";

export async function query(document, variables) {
  const { data, errors } = await execute({ document: parse(document), variables });
  if (errors) throw errors[0];
  return data;
}

export const mutate = query;
export const reread = query;

export async function subscribe(document, variables, next) {
  for await (const change of changes(variables.list)) next({ published: change });
}
