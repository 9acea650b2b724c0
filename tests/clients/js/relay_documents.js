// The documents that relay-compiler compiles. A build with babel-plugin-relay replaces each by its compiled form.
import { graphql } from "relay-runtime";

graphql`
  query relayDocumentsPriceQuery($list: ID!) {
    snapshot(priceList: $list) {
      id
      version
      price(sku: "a") {
        id
        amount
      }
    }
  }
`;

graphql`
  query relayDocumentsPageQuery($list: ID!) {
    snapshot(priceList: $list) {
      version
      prices(first: 10) {
        nodes {
          sku
          amount
        }
      }
    }
  }
`;

graphql`
  mutation relayDocumentsPublishMutation($input: PublishBatchInput!) {
    publishBatch(input: $input) {
      batch {
        id
        state
        version
      }
      userErrors {
        code
        message
      }
    }
  }
`;

graphql`
  subscription relayDocumentsPublishedSubscription($list: ID!, $after: Int) {
    published(priceList: $list, after: $after) {
      revision
      version
    }
  }
`;

graphql`
  query relayDocumentsPagesQuery($list: ID!) {
    snapshot(priceList: $list) {
      id
      ...relayDocumentsPrices
    }
  }
`;

graphql`
  fragment relayDocumentsPrices on Snapshot
  @argumentDefinitions(first: { type: "Int", defaultValue: 2 }, after: { type: "String" })
  @refetchable(queryName: "relayDocumentsNextPageQuery") {
    version
    prices(first: $first, after: $after) @connection(key: "Snapshot_prices") {
      edges {
        node {
          sku
          amount
        }
      }
    }
  }
`;
