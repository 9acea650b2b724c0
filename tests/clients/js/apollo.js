import { gql } from "@apollo/client";
import { client } from "./docs/apollo.js";

const data = ({ data, error }) => {
  if (error) throw error;
  return data;
};

export const query = async (document, variables) => data(await client.query({ query: gql(document), variables }));

export const reread = async (document, variables) =>
  data(await client.query({ query: gql(document), variables, fetchPolicy: "network-only" }));

export const mutate = async (document, variables) => data(await client.mutate({ mutation: gql(document), variables }));

export const subscribe = (document, variables, next) =>
  client.subscribe({ query: gql(document), variables }).subscribe((result) => next(data(result)));

export const watch = (document, variables, next) =>
  client.watchQuery({ query: gql(document), variables }).subscribe((result) => result.data && next(data(result)));
