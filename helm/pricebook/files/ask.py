"""What `helm test` asks: whether a server is ready, and whether a query through the entrance is answered by Pricebook.

Arguments: the URL of /readyz, and that of /graphql. Who is not let in without credentials is answered all the same.
"""

import sys

import httpx

ready, graphql = sys.argv[1:]
answer = httpx.get(ready, timeout=10)
print(ready, answer.status_code, answer.text)
if answer.status_code != 200:
    sys.exit("No server is ready; the checks above tell why.")

answer = httpx.post(graphql, json={"query": "{ __typename }"}, timeout=10)
print(graphql, answer.status_code, answer.text)
said = answer.json()
codes = [error.get("extensions", {}).get("code") for error in said.get("errors", ())]
if said.get("data") != {"__typename": "Query"} and codes != ["UNAUTHENTICATED"]:
    sys.exit("That is no answer of Pricebook.")
