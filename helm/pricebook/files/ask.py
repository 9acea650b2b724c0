"""The check of `helm test`: a server is ready, and Pricebook answers a query through the entrance.

Arguments: the URLs of /readyz and of /graphql. `UNAUTHENTICATED` counts as an answer of Pricebook.
"""

import sys

import httpx

ready, graphql = sys.argv[1:]
response = httpx.get(ready, timeout=10)
print(ready, response.status_code, response.text)
if response.status_code != 200:
    sys.exit("No server is ready: see the checks above.")

response = httpx.post(graphql, json={"query": "{ __typename }"}, timeout=10)
print(graphql, response.status_code, response.text)
body = response.json()
codes = [error.get("extensions", {}).get("code") for error in body.get("errors", ())]
if body.get("data") != {"__typename": "Query"} and codes != ["UNAUTHENTICATED"]:
    sys.exit("This is not a response of Pricebook.")
