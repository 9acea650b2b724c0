import { commitMutation, createOperationDescriptor, fetchQuery, requestSubscription } from "relay-runtime";
import { environment } from "./docs/relay.js";
import { PAGE, PRICE, PUBLISH, PUBLISHED } from "./documents.js";
import page from "./__generated__/relayDocumentsPageQuery.graphql.js";
import price from "./__generated__/relayDocumentsPriceQuery.graphql.js";
import publish from "./__generated__/relayDocumentsPublishMutation.graphql.js";
import published from "./__generated__/relayDocumentsPublishedSubscription.graphql.js";

const compiled = { [PAGE]: page, [PRICE]: price, [PUBLISH]: publish, [PUBLISHED]: published };

export const query = (document, variables) => fetchQuery(environment, compiled[document], variables).toPromise();

export const reread = query;

export const mutate = (document, variables) =>
  new Promise((onCompleted, onError) => {
    const { file } = variables.input;
    const sent = file ? { variables: { input: { ...variables.input, file: null } }, uploadables: { file } } : { variables };
    commitMutation(environment, { mutation: compiled[document], ...sent, onCompleted, onError });
  });

export const subscribe = (document, variables, onNext) =>
  requestSubscription(environment, { subscription: compiled[document], variables, onNext });

export async function watch(document, variables, next) {
  await query(document, variables);
  const operation = createOperationDescriptor(compiled[document], variables);
  environment.retain(operation);
  const found = environment.lookup(operation.fragment);
  environment.subscribe(found, ({ data }) => next(data));
  next(found.data);
}
