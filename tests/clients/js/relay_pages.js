// Reads a list page by page with a @refetchable fragment, while another program publishes: node relay_pages.js LIST
import { createOperationDescriptor, fetchQuery, getSingularSelector } from "relay-runtime";
import { environment } from "./docs/relay.js";
import { publish } from "./publisher.js";
import nextPage from "./__generated__/relayDocumentsNextPageQuery.graphql.js";
import pages from "./__generated__/relayDocumentsPagesQuery.graphql.js";
import prices from "./__generated__/relayDocumentsPrices.graphql.js";

const list = process.argv[2];
const operation = createOperationDescriptor(pages, { list });
environment.retain(operation);

const { snapshot } = await fetchQuery(environment, pages, { list }).toPromise();
const selector = getSingularSelector(prices, snapshot);
const shown = () => environment.lookup(selector).data;

await publish(list, ["0"], "2.00");

const after = shown().prices.pageInfo.endCursor;
await fetchQuery(environment, nextPage, { id: snapshot.id, first: 2, after }).toPromise();
const { version, prices: connection } = shown();
const amounts = connection.edges.map(({ node }) => node.amount);
console.log(JSON.stringify({ version, amounts, hasNext: connection.pageInfo.hasNextPage }));
process.exit();
