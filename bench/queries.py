"""The queries that benchmarks send, all of a price list `$list`: one price, 100 prices, a page of 1000."""

import json
from typing import Any

from bench.servers import Server

FIELDS = "sku amount currency validFrom attributes"

POINT = f"query($list: ID!, $sku: ID!) {{ snapshot(priceList: $list) {{ version price(sku: $sku) {{ {FIELDS} }} }} }}"
MULTI = f"""query($list: ID!, $skus: [ID!]!) {{
  snapshot(priceList: $list) {{ version pricesBySku(skus: $skus) {{ {FIELDS} }} }}
}}"""
PAGE = f"""query($list: ID!, $after: String) {{
  snapshot(priceList: $list) {{ version prices(first: 1000, after: $after) {{ nodes {{ {FIELDS} }} }} }}
}}"""

WALK_PAGE = 999
_WALK = """query($list: ID!, $first: Int!, $after: String) {
  snapshot(priceList: $list) { prices(first: $first, after: $after) {
    nodes { sku } pageInfo { endCursor hasNextPage }
  } }
}"""


def body(query: str, **variables: Any) -> bytes:
    """Return the body of a request, on one line."""
    return json.dumps({"query": query, "variables": variables}).encode()


def mutation(field: str, **input_: Any) -> bytes:
    """Return the body of a mutation that returns its user errors only."""
    type_ = f"{field[0].upper()}{field[1:]}Input"
    query = f"mutation($input: {type_}!) {{ {field}(input: $input) {{ userErrors {{ code message }} }} }}"
    return body(query, input=input_)


def walk(server: Server, price_list: str, count: int) -> list[str]:
    """Read all `count` prices of a list in pages, and return the cursors of the ends of all pages but the last."""
    cursors: list[str] = []
    read, after, has_next = 0, None, True
    while has_next:
        prices = server.post(body(_WALK, list=price_list, first=WALK_PAGE, after=after))["prices"]
        read += len(prices["nodes"])
        after, has_next = prices["pageInfo"]["endCursor"], prices["pageInfo"]["hasNextPage"]
        cursors.append(after)
    if read != count:
        raise AssertionError(f"Read {read:,} prices of {count:,}.")
    return cursors[:-1]
